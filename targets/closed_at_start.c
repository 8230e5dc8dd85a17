// Danger: started with descriptors 0, 1 and 2 closed: what the program opens must get these numbers,
// and nothing of ours may be written to them.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <errno.h>
#include <sys/stat.h>

int main(int argc, char **argv) {
    if (argc < 2) {
        ledger_write();
        close(0), close(1), close(2);
        execl(argv[0], argv[0], "child", NULL);
        _exit(1);
    }
    struct stat seen;
    for (int fd = 0; fd < 3; fd++)
        if (fstat(fd, &seen) == 0 || errno != EBADF)
            return 2;
    took(MALLOC, 4099, malloc(4099));
    for (int fd = 0; fd < 3; fd++)
        if (open("/dev/null", O_RDWR) != fd)
            return 3;
    give(1013, took(MALLOC, 1013, malloc(1013)));
    ledger_write();
    return 0;
}
