// Danger: mappings of the program's own, for --mmap: mmap, munmap (in parts), mremap, sbrk.
// build: gcc -O2 -g
#define _GNU_SOURCE
#include "ledger.h"
#include <sys/mman.h>

#define PAGES(n) ((size_t)(n) * 4096)

int main(void) {
    char *p = mmap(NULL, PAGES(37), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, PAGES(11));                          // the front
    munmap(p + PAGES(20), PAGES(17));              // the back
    p = mremap(p + PAGES(11), PAGES(9), PAGES(41), MREMAP_MAYMOVE); // 9 pages left, grown
    p[PAGES(41) - 1] = 1;
    munmap(p, PAGES(41));
    char *file = mmap(NULL, PAGES(3), PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY), 0);
    if (file == MAP_FAILED || sbrk((intptr_t)PAGES(5)) == (void *)-1)
        return 1;
    sbrk(-(intptr_t)PAGES(5));
    took(MALLOC, 4099, malloc(4099));
    ledger_write();
    return 0;
}
