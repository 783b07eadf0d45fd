/* loop.c: watches libev's memory while the heap gives nothing. Knows the size of the reserve; never
 * how blocks lie in it. */
#include "net/loop.h"

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool out_of_memory; /* set for moments only: Check needs memory too */

void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);
void *__wrap_malloc(size_t len)
{
    return out_of_memory ? NULL : __real_malloc(len);
}

static void setup(void)
{
    out_of_memory = false;
}

static uint8_t *from_reserve(uint8_t *old, size_t len)
{
    out_of_memory = true;
    uint8_t *bytes = loop_memory(old, (long)len);
    out_of_memory = false;
    return bytes;
}

static uint8_t *grow(uint8_t *old, size_t old_len, size_t len, bool heap)
{
    uint8_t *bytes = heap ? loop_memory(old, (long)len) : from_reserve(old, len);
    ck_assert_ptr_nonnull(bytes);
    ck_assert_uint_eq((uintptr_t)bytes % 16, 0);
    for (size_t i = 0; i < old_len; i++)
        ck_assert_uint_eq(bytes[i], (uint8_t)(i * 7));
    for (size_t i = old_len; i < len; i++)
        bytes[i] = (uint8_t)(i * 7);
    return bytes;
}

START_TEST(a_table_grows_from_the_heap_into_the_reserve_and_back_with_all_that_is_in_it)
{
    uint8_t *bytes = grow(NULL, 0, 1, true);
    size_t len = 1;
    for (int i = 0; i < 18; i++) {
        bytes = grow(bytes, len, 2 * len, i % 3 == 0);
        len *= 2;
    }
    ck_assert_ptr_null(loop_memory(bytes, 0));
}
END_TEST

START_TEST(tables_for_all_descriptors_fit_into_the_reserve)
{
    static const size_t places[] = {16, 16, 12, 4}; /* anfds, pendings, epoll's events, changes */
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        uint8_t *bytes = NULL;
        for (size_t n = 64; n <= 65536; n *= 2)
            bytes = from_reserve(bytes, n * places[i]);
        ck_assert_ptr_nonnull(bytes);
        memset(bytes, 1, 65536 * places[i]);
    }
}
END_TEST

START_TEST(a_reserve_that_is_used_up_gives_nothing_and_takes_nothing)
{
    uint8_t *bytes = grow(NULL, 0, 100, true);
    ck_assert_ptr_null(from_reserve(NULL, LOOP_RESERVE));
    ck_assert_ptr_null(from_reserve(bytes, LOOP_RESERVE));
    grow(bytes, 100, 100, false);
    loop_memory(bytes, 0);
}
END_TEST

static void on_event(struct ev_loop *loop, ev_io *w, int events)
{
    (void)events;
    ev_io_stop(loop, w);
}

/* libev would call abort. */
START_TEST(a_loop_without_memory_watches_many_descriptors)
{
    enum { N = 300 };
    static ev_io io[N];
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ev_set_allocator(loop_memory);
    out_of_memory = true;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    for (int i = 0; i < N; i++) {
        ev_io_init(&io[i], on_event, dup(fds[1]), EV_WRITE);
        ev_io_start(loop, &io[i]);
    }
    int active = ev_run(loop, 0); /* until each had its event */
    ev_loop_destroy(loop);
    out_of_memory = false;
    ck_assert_int_eq(active, 0);
    for (int i = 0; i < N; i++)
        close(io[i].fd);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static unsigned refusals;

/* libev finds these before those of the C library. */
int epoll_create1(int flags)
{
    if (refusals == 0)
        return (int)syscall(SYS_epoll_create1, flags);
    refusals--;
    errno = ENFILE;
    return -1;
}

int epoll_create(int size)
{
    (void)size;
    return epoll_create1(0);
}

/* As after a fork: the set has to be made anew, and the kernel gives none at first. libev would
 * call abort. */
START_TEST(an_epoll_set_that_cannot_be_made_anew_is_tried_again)
{
    ev_io io;
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    ev_set_syserr_cb(loop_trouble);
    struct ev_loop *loop = ev_loop_new(EVBACKEND_EPOLL);
    ck_assert_ptr_nonnull(loop);
    ev_io_init(&io, on_event, fds[1], EV_WRITE);
    ev_io_start(loop, &io);
    refusals = 3;
    ev_loop_fork(loop);
    ck_assert_int_eq(ev_run(loop, 0), 0);
    ck_assert_uint_eq(refusals, 0);
    ev_loop_destroy(loop);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("loop");
    TCase *c = tcase_create("loop");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, a_table_grows_from_the_heap_into_the_reserve_and_back_with_all_that_is_in_it);
    tcase_add_test(c, tables_for_all_descriptors_fit_into_the_reserve);
    tcase_add_test(c, a_reserve_that_is_used_up_gives_nothing_and_takes_nothing);
    tcase_add_test(c, a_loop_without_memory_watches_many_descriptors);
    tcase_add_test(c, an_epoll_set_that_cannot_be_made_anew_is_tried_again);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed == 0 ? 0 : 1;
}
