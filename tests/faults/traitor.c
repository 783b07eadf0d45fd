/* traitor.c: preloaded into dnsd: when asked for the name of the machine, it does what an attacker
 * would do who got that far. $DNSD_TRAITOR says what. Knows nothing of dnsd. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <unistd.h>

static void betray(const char *how)
{
    static char shell[] = "/bin/sh";
    char *const args[] = {shell, NULL};
    if (strcmp(how, "openat") == 0)
        (void)open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    else if (strcmp(how, "execve") == 0)
        (void)execv(shell, args);
    else if (strcmp(how, "ptrace") == 0)
        (void)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
    else if (strcmp(how, "socket") == 0)
        (void)socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0);
    else if (strcmp(how, "mmap") == 0)
        (void)mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    else if (strcmp(how, "setuid") == 0)
        (void)setuid(0);
}

int gethostname(char *name, size_t len)
{
    const char *how = getenv("DNSD_TRAITOR");
    if (how != NULL)
        betray(how);
    strncpy(name, "traitor", len);
    return 0;
}
