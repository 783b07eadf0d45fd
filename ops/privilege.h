/* privilege.h: giving up root for good. */
#ifndef DNSD_OPS_PRIVILEGE_H
#define DNSD_OPS_PRIVILEGE_H

#include <stdbool.h>

/* As root: becomes user (its groups too), empties the bounding set of capabilities, and checks that
 * there is no way back. As another user than root: stays it; fails if user is somebody else. Either
 * way no capability is kept (also not the one to bind low ports: sockets are bound before), and
 * no_new_privs is set. user "" while root: "dnsd" if there is such a user, else "nobody". A user
 * with root's number is refused. 0, or -1 after logging why. */
int privilege_drop(const char *user);

/* Whether there is such a user. */
bool privilege_has_user(const char *user);

#endif
