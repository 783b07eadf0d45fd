/* turn.c: watches the order of things in a turn, and when the next one comes. Knows real timers of
 * a few milliseconds; never says how late one may be, only how early. */
#include "net/turn.h"

#include "net/clock.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Which clock was read last; libev reads others. */
static clockid_t clock_read;

int clock_gettime(clockid_t id, struct timespec *ts)
{
    clock_read = id;
    return (int)syscall(SYS_clock_gettime, id, ts);
}

static struct ev_loop *loop;
static struct turn *turn;
static char seen[256]; /* a letter for everything that was called */

static void note(char letter)
{
    size_t n = strlen(seen);
    ck_assert_uint_lt(n, sizeof seen - 1);
    seen[n] = letter;
}

static void setup(void)
{
    memset(seen, 0, sizeof seen);
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_ptr_nonnull(loop);
    turn = turn_create(loop);
    ck_assert_ptr_nonnull(turn);
}

static void teardown(void)
{
    turn_free(turn);
    ev_loop_destroy(loop);
}

/* A hook that notes its letter. */
static void hook(void *ctx, uint64_t now_ms)
{
    ck_assert_uint_eq(now_ms, turn_now_ms(turn));
    note(*(const char *)ctx);
}

/* Something due at a time, which its tick moves on by a step. */
struct job {
    uint64_t due_ms;
    uint64_t step_ms;
    unsigned n_ticks;
};

static uint64_t job_due(void *ctx)
{
    return ((const struct job *)ctx)->due_ms;
}

static void job_tick(void *ctx, uint64_t now_ms)
{
    struct job *j = ctx;
    ck_assert_uint_le(j->due_ms, now_ms);
    j->n_ticks++;
    j->due_ms = j->step_ms == 0 ? UINT64_MAX : j->due_ms + j->step_ms;
    note('t');
}

/* Must the loop not wake, this ends the test. */
static void too_long(struct ev_loop *l, struct ev_timer *w, int events)
{
    (void)w;
    (void)events;
    note('!');
    ev_break(l, EVBREAK_ONE);
}

static void run_until(const unsigned *count, unsigned n)
{
    struct ev_timer limit;
    ev_timer_init(&limit, too_long, 5., 0.);
    ev_timer_start(loop, &limit);
    while (*count < n && strchr(seen, '!') == NULL)
        ev_run(loop, EVRUN_ONCE);
    ev_timer_stop(loop, &limit);
    ck_assert_ptr_null(strchr(seen, '!'));
}

static void on_readable(struct ev_loop *l, struct ev_io *w, int events)
{
    (void)events;
    ev_io_stop(l, w);
    note('i');
}

/* CLOCK_MONOTONIC would stand still: what was cached before a night would be fresh in the morning.
 */
START_TEST(the_clock_goes_on_while_the_machine_sleeps)
{
    struct timespec boot;
    uint64_t now_ms = clock_now_ms();
    ck_assert_int_eq(clock_read, CLOCK_BOOTTIME);
    ck_assert_int_eq(clock_gettime(CLOCK_BOOTTIME, &boot), 0);
    uint64_t boot_ms = (uint64_t)boot.tv_sec * 1000 + (uint64_t)boot.tv_nsec / 1000000;
    ck_assert_uint_le(now_ms, boot_ms);
    ck_assert_uint_le(boot_ms, now_ms + 10000);
}
END_TEST

START_TEST(starts_then_ticks_then_events_then_ends_in_their_order)
{
    char a = 'a', b = 'b', y = 'y', z = 'z';
    struct job job = {.due_ms = 0};
    int fd[2];
    struct ev_io io;
    ck_assert_int_eq(pipe(fd), 0);
    ck_assert_int_eq(write(fd[1], "", 1), 1);
    ev_io_init(&io, on_readable, fd[0], EV_READ);
    ev_io_start(loop, &io);
    turn_add_end(turn, hook, &y);
    turn_add_start(turn, hook, &a);
    turn_add_due(turn, job_due, job_tick, &job);
    turn_add_start(turn, hook, &b);
    turn_add_end(turn, hook, &z);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_str_eq(seen, "yzabti");
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_str_eq(seen, "yzabtiyzab");
    close(fd[0]);
    close(fd[1]);
}
END_TEST

START_TEST(what_is_due_in_the_past_comes_at_once)
{
    struct job job = {.due_ms = 1};
    turn_add_due(turn, job_due, job_tick, &job);
    run_until(&job.n_ticks, 1);
    ck_assert_uint_eq(job.due_ms, UINT64_MAX);
}
END_TEST

START_TEST(nothing_is_ticked_before_it_is_due)
{
    struct job job = {.due_ms = clock_now_ms() + 20};
    turn_add_due(turn, job_due, job_tick, &job);
    run_until(&job.n_ticks, 1);
    ck_assert_uint_eq(job.n_ticks, 1);
}
END_TEST

START_TEST(a_sooner_due_overtakes_the_timer_that_is_armed)
{
    struct job late = {.due_ms = clock_now_ms() + 60000};
    struct job soon = {.due_ms = UINT64_MAX};
    turn_add_due(turn, job_due, job_tick, &late);
    turn_add_due(turn, job_due, job_tick, &soon);
    ev_run(loop, EVRUN_NOWAIT);
    soon.due_ms = clock_now_ms() + 10;
    run_until(&soon.n_ticks, 1);
    ck_assert_uint_eq(late.n_ticks, 0);
}
END_TEST

START_TEST(a_due_that_moves_on_is_still_met)
{
    struct job job = {.due_ms = clock_now_ms() + 5};
    turn_add_due(turn, job_due, job_tick, &job);
    ev_run(loop, EVRUN_NOWAIT);
    job.due_ms = clock_now_ms() + 25; /* the timer is armed for 5 */
    run_until(&job.n_ticks, 1);
    ck_assert_uint_eq(job.n_ticks, 1);
}
END_TEST

START_TEST(all_that_fell_due_during_a_suspend_is_done_in_steps_without_waiting)
{
    struct job job = {.due_ms = clock_now_ms() - 3000, .step_ms = 1000};
    turn_add_due(turn, job_due, job_tick, &job);
    run_until(&job.n_ticks, 3);
}
END_TEST

/* A tick that changes nothing: twenty turns take about as many milliseconds and not a few
 * microseconds. */
START_TEST(a_due_that_its_tick_leaves_in_the_past_does_not_make_the_loop_spin)
{
    struct job job = {.due_ms = 1, .step_ms = 1}; /* for ever in the past */
    turn_add_due(turn, job_due, job_tick, &job);
    uint64_t begun_ms = clock_now_ms();
    run_until(&job.n_ticks, 20);
    ck_assert_uint_ge(clock_now_ms() - begun_ms, 15);
}
END_TEST

START_TEST(what_was_removed_is_never_called_again)
{
    char a = 'a', b = 'b';
    struct job job = {.due_ms = UINT64_MAX};
    turn_add_start(turn, hook, &a);
    turn_add_end(turn, hook, &a);
    turn_add_start(turn, hook, &b);
    turn_add_due(turn, job_due, job_tick, &job);
    turn_remove(turn, &a);
    turn_remove(turn, &job);
    job.due_ms = 0;
    ev_run(loop, EVRUN_NOWAIT);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_str_eq(seen, "bb");
}
END_TEST

START_TEST(there_is_room_for_a_hook_of_each_of_64_listeners)
{
    char a = 'a';
    for (size_t i = 0; i < TURN_HOOKS_MAX; i++)
        turn_add_end(turn, hook, &a);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(strlen(seen), TURN_HOOKS_MAX);
    ck_assert_uint_ge(TURN_HOOKS_MAX, 64 + 16);
}
END_TEST

START_TEST(the_time_of_a_turn_never_runs_backwards_and_stands_still_within_it)
{
    uint64_t before_ms = turn_now_ms(turn);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_ge(turn_now_ms(turn), before_ms);
    ck_assert_uint_le(turn_now_ms(turn), clock_now_ms());
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("turn");
    TCase *tcase = tcase_create("turn");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_clock_goes_on_while_the_machine_sleeps);
    tcase_add_test(tcase, starts_then_ticks_then_events_then_ends_in_their_order);
    tcase_add_test(tcase, what_is_due_in_the_past_comes_at_once);
    tcase_add_test(tcase, nothing_is_ticked_before_it_is_due);
    tcase_add_test(tcase, a_sooner_due_overtakes_the_timer_that_is_armed);
    tcase_add_test(tcase, a_due_that_moves_on_is_still_met);
    tcase_add_test(tcase, all_that_fell_due_during_a_suspend_is_done_in_steps_without_waiting);
    tcase_add_test(tcase, a_due_that_its_tick_leaves_in_the_past_does_not_make_the_loop_spin);
    tcase_add_test(tcase, what_was_removed_is_never_called_again);
    tcase_add_test(tcase, there_is_room_for_a_hook_of_each_of_64_listeners);
    tcase_add_test(tcase, the_time_of_a_turn_never_runs_backwards_and_stands_still_within_it);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
