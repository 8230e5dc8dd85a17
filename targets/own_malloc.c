// Danger: the program brings its own malloc, which a preloaded one cannot stand before. It must run as
// it is; what cannot be recorded must be said.
// build: gcc -O2 -g -fno-builtin -Wno-stringop-overflow
#include <stdio.h>
#include <string.h>

static _Alignas(16) char pool[16 << 20];
static size_t used;
static int calls;

void *malloc(size_t size) {
    size_t room = (size + 31) & ~(size_t)15;
    if (used + room > sizeof pool)
        return NULL;
    char *block = pool + used;
    memcpy(block, &size, sizeof size);
    used += room;
    calls++;
    return block + 16;
}

void free(void *block) { (void)block; }

void *calloc(size_t count, size_t size) { return malloc(count * size); } // the pool is zeroed

void *realloc(void *block, size_t size) {
    void *new = malloc(size);
    if (block != NULL && new != NULL) {
        size_t old;
        memcpy(&old, (char *)block - 16, sizeof old);
        memcpy(new, block, old < size ? old : size);
    }
    return new;
}

int main(void) {
    for (int i = 0; i < 100; i++) {
        char *block = malloc(4099);
        block = realloc(block, 10007);
        if (block < pool || block >= pool + sizeof pool)
            return 1;
        free(block);
    }
    printf("%s\n", calls >= 200 ? "own" : "not own");
    return 0;
}
