// Danger: two libraries that come and go at the same address; a backtrace must name the right one.
// arguments: the two libraries
// build: gcc -O2 -g
#define LEDGER_PEAK
#include "ledger.h"
#include <dlfcn.h>

typedef void *make(size_t);

static void use(const char *path, const char *name, size_t size) {
    void *library = dlopen(path, RTLD_NOW);
    if (library == NULL)
        _exit(1);
    make *function = (make *)dlsym(library, name);
    for (int i = 0; i < 10; i++) {
        void *p = took(MALLOC, size, function(size));
        if (i % 2 == 0)
            give(size, p);
    }
    dlclose(library);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    for (int i = 0; i < 10; i++) {
        use(argv[1], "plugin_a_make", 4099);
        use(argv[2], "plugin_b_make", 10007);
    }
    ledger_write();
    return 0;
}
