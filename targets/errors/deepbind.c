// Danger: a library that was opened with RTLD_DEEPBIND allocates and frees unseen; its blocks are freed by the
// program, and the program's by it, and addresses come again. Nothing is wrong.
// build: gcc -O1 -g -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

int main(int count, char **words) {
    void *library = count == 2 ? dlopen(words[1], RTLD_NOW | RTLD_DEEPBIND) : NULL;
    if (library == NULL)
        return 1;
    void *(*make)(void) = (void *(*)(void))dlsym(library, "plugin_make");
    void (*end)(void *) = (void (*)(void *))dlsym(library, "plugin_end");
    for (int i = 0; i < 20; i++) {
        free(make());
        end(malloc(100));
        free(make());
        free(malloc(100));
        free(make());
        free(realloc(make(), 200));
    }
    return 0;
}
