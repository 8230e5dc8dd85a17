// Raises SIGABRT with 4 bytes live.
// build: gcc -O0 -g
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    int *number = malloc(4);
    *number = 42;
    raise(SIGABRT);
    printf("not reached: %d\n", *number);
    return 0;
}
