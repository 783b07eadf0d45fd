/* privilege.h: giving up root for good. */
#ifndef DNSD_OPS_PRIVILEGE_H
#define DNSD_OPS_PRIVILEGE_H

/* As root: becomes user (its groups too), keeps no capability, and checks that there is no way
 * back. As another user than root: does nothing, unless user is somebody else: then it fails. Sets
 * no_new_privs in either case. user "" while root: "dnsd" if there is such a user, else "nobody".
 * 0, or -1 after logging why. */
int privilege_drop(const char *user);

#endif
