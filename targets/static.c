// Danger: a static program: a preload cannot reach it. It must run, and be named as not recorded.
// build: gcc -O2 -g -static
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    void *p = malloc(4099);
    __asm__ volatile("" : "+r"(p));
    printf("static\n");
    free(p);
    return 12;
}
