/* sockaddr.c: knows how an address looks to the kernel, and what it says of binding and routes.
 * Sends nothing. */
#include "net/sockaddr.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the kernel is to say instead of doing it; 0: it does it. */
static int socket_error, connect_error, only_v6_error;
static sa_family_t own_family; /* of what getsockname tells */

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len);
int __real_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len);
int __real_getsockname(int fd, struct sockaddr *out, socklen_t *len);
int __wrap_getsockname(int fd, struct sockaddr *out, socklen_t *len);
int __real_connect(int fd, const struct sockaddr *to, socklen_t len);

static int say(int error)
{
    errno = error;
    return -1;
}

int __wrap_socket(int domain, int type, int protocol)
{
    return socket_error != 0 ? say(socket_error) : __real_socket(domain, type, protocol);
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t len)
{
    return connect_error != 0 ? say(connect_error) : __real_connect(fd, to, len);
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    if (only_v6_error != 0 && level == IPPROTO_IPV6 && name == IPV6_V6ONLY)
        return say(only_v6_error);
    return __real_setsockopt(fd, level, name, value, len);
}

int __wrap_getsockname(int fd, struct sockaddr *out, socklen_t *len)
{
    int result = __real_getsockname(fd, out, len);
    if (own_family != 0)
        out->sa_family = own_family;
    return result;
}

static struct addr address(const char *text)
{
    struct addr a = {0};
    ck_assert_int_eq(addr_parse(text, 53, &a), 0);
    return a;
}

/* Bound for as long as it takes; 0, or an errno. */
static int error_of_binding(const char *text)
{
    struct addr at = address(text), bound = {0};
    at.port = 0;
    int fd = __real_socket(sockaddr_family(&at), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    int error = sockaddr_bind(fd, &at, &bound) == 0 ? 0 : errno;
    close(fd);
    if (error == 0) {
        ck_assert_uint_ne(bound.port, 0);
        ck_assert_int_eq(memcmp(bound.ip, at.ip, sizeof at.ip), 0);
    }
    return error;
}

START_TEST(an_address_comes_back_as_it_went)
{
    static const char *const texts[] = {"192.0.2.1", "0.0.0.0", "2001:db8::1", "::"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct addr a = address(texts[i]), b;
        struct sockaddr_storage ss = {0};
        socklen_t len = sockaddr_from_addr(&a, &ss);
        ck_assert_uint_eq(
            len, addr_is_ipv4(&a) ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
        ck_assert_int_eq(sockaddr_to_addr(&ss, &b), 0);
        ck_assert_msg(addr_equal(&a, &b), "%s", texts[i]);
    }
}
END_TEST

/* Else the same client would be two, once it comes by another interface. */
START_TEST(only_a_link_local_address_keeps_its_interface)
{
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_scope_id = 7};
    struct sockaddr_storage ss = {0};
    struct addr a;
    ck_assert_int_eq(inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr), 1);
    memcpy(&ss, &in6, sizeof in6);
    ck_assert_int_eq(sockaddr_to_addr(&ss, &a), 0);
    ck_assert_uint_eq(a.scope, 7);
    ck_assert_int_eq(inet_pton(AF_INET6, "2001:db8::1", &in6.sin6_addr), 1);
    memcpy(&ss, &in6, sizeof in6);
    ck_assert_int_eq(sockaddr_to_addr(&ss, &a), 0);
    ck_assert_uint_eq(a.scope, 0);
}
END_TEST

START_TEST(what_is_neither_ipv4_nor_ipv6_is_no_address)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNIX};
    struct addr a;
    ck_assert_int_eq(sockaddr_to_addr(&ss, &a), -1);
    own_family = AF_UNIX;
    ck_assert_int_eq(error_of_binding("127.0.0.1"), EAFNOSUPPORT);
}
END_TEST

/* A socket of IPv6 that took IPv4 too would be in the way of the one for IPv4. */
START_TEST(an_ipv6_socket_that_would_take_ipv4_too_is_not_bound)
{
    only_v6_error = ENOPROTOOPT;
    int fd = __real_socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return; /* this machine has no IPv6 */
    close(fd);
    ck_assert_int_eq(error_of_binding("::1"), ENOPROTOOPT);
}
END_TEST

START_TEST(an_address_is_here_or_it_is_not)
{
    struct addr loopback = address("127.0.0.1"), elsewhere = address("192.0.2.1");
    ck_assert(sockaddr_is_here(&loopback));
    ck_assert(!sockaddr_is_here(&elsewhere));
    ck_assert_int_eq(error_of_binding("192.0.2.1"), EADDRNOTAVAIL);
    socket_error = EAFNOSUPPORT; /* IPv6 is switched off */
    ck_assert(!sockaddr_is_here(&loopback));
}
END_TEST

START_TEST(the_source_of_a_route_is_known)
{
    struct addr to = address("127.0.0.1"), source;
    ck_assert_int_eq(sockaddr_source(&to, &source), 0);
    ck_assert(addr_is_loopback(&source));
}
END_TEST

START_TEST(where_there_is_no_route_there_is_no_source)
{
    static const int errors[] = {ENETUNREACH, EHOSTUNREACH, EADDRNOTAVAIL};
    struct addr to = address("192.0.2.1"), source;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        connect_error = errors[i];
        source = to;
        ck_assert_int_eq(sockaddr_source(&to, &source), 0);
        ck_assert_mem_eq(source.ip, (uint8_t[16]){0}, sizeof source.ip);
    }
}
END_TEST

START_TEST(a_source_that_cannot_be_found_is_an_error)
{
    struct addr to = address("192.0.2.1"), source;
    connect_error = EAGAIN; /* no port is left */
    ck_assert_int_eq(sockaddr_source(&to, &source), -1);
    socket_error = EMFILE;
    ck_assert_int_eq(sockaddr_source(&to, &source), -1);
}
END_TEST

START_TEST(what_an_operator_can_do_about_it_is_said)
{
    ck_assert_ptr_nonnull(strstr(sockaddr_advice(EADDRINUSE), "ss -tulpn"));
    ck_assert_ptr_nonnull(strstr(sockaddr_advice(EACCES), "CAP_NET_BIND_SERVICE"));
    ck_assert_ptr_nonnull(strstr(sockaddr_advice(EADDRNOTAVAIL), "no interface"));
    ck_assert_ptr_nonnull(strstr(sockaddr_advice(EAFNOSUPPORT), "switched on"));
    ck_assert_str_eq(sockaddr_advice(EIO), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sockaddr");
    TCase *c = tcase_create("addresses");
    tcase_add_test(c, an_address_comes_back_as_it_went);
    tcase_add_test(c, only_a_link_local_address_keeps_its_interface);
    tcase_add_test(c, what_is_neither_ipv4_nor_ipv6_is_no_address);
    tcase_add_test(c, an_ipv6_socket_that_would_take_ipv4_too_is_not_bound);
    tcase_add_test(c, an_address_is_here_or_it_is_not);
    tcase_add_test(c, the_source_of_a_route_is_known);
    tcase_add_test(c, where_there_is_no_route_there_is_no_source);
    tcase_add_test(c, a_source_that_cannot_be_found_is_an_error);
    tcase_add_test(c, what_an_operator_can_do_about_it_is_said);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
