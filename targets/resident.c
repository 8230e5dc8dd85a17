// Danger: none; memory that is resident without a block, and blocks that are not resident. 16 MiB in one block are
// written to; 32 MiB of small ones are, too, and freed but for the last, so that the allocator keeps their memory; 64 MiB
// are not written to.
// build: gcc -O1 -g
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SMALL = 1000, COUNT = 32 * 1024 };

static void *blocks[COUNT];
static void *volatile touched, *volatile untouched;

int main(void) {
    touched = memset(malloc(16 << 20), 1, 16 << 20);
    for (int i = 0; i < COUNT; i++)
        blocks[i] = memset(malloc(SMALL), 1, SMALL);
    for (int i = 0; i < COUNT - 1; i++)
        free(blocks[i]);
    untouched = malloc(64 << 20);
    // Longer than between two samples.
    usleep(300000);
    return 0;
}
