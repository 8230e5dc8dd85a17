// Danger: the program closes its stdout and stderr in mid-run; nobody must reuse or need them.
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <stdio.h>

int main(void) {
    printf("before\n");
    fclose(stdout), fclose(stderr);
    give(4099, took(MALLOC, 4099, malloc(4099)));
    int one = open("/dev/null", O_WRONLY), two = open("/dev/null", O_WRONLY);
    took(MALLOC, 10007, malloc(10007));
    ledger_write();
    return one == 1 && two == 2 ? 0 : 1;
}
