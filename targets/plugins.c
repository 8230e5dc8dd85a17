// Danger: a C program opens a plug-in with its own operators new and delete, closes it, and opens
// another: nobody may remember the first one's operators, at whose address there is nothing now.
// arguments: the two libraries
// build: gcc -O2 -g
#define LEDGER_PEAK
#define _GNU_SOURCE
#include "ledger.h"
#include <dlfcn.h>
#include <sys/mman.h>

typedef void *make(size_t);
typedef void end(void *);

// Uses the plug-in; the page of its code afterwards belongs to nobody who could run it.
static void use(const char *path, size_t size) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        _exit(1);
    make *new = (make *)dlsym(library, "plugin_new");
    make *new_array = (make *)dlsym(library, "plugin_new_array");
    end *delete = (end *)dlsym(library, "plugin_delete");
    end *delete_array = (end *)dlsym(library, "plugin_delete_array");
    for (int i = 0; i < 10; i++) {
        void *p = took(NEW, size, new(size));
        void *q = took(NEW_ARRAY, size + 1, new_array(size + 1));
        gave(DELETE, size);
        delete(p);
        gave(DELETE_ARRAY, size + 1);
        delete_array(q);
    }
    void *page = (void *)((uintptr_t)new & ~(uintptr_t)4095);
    dlclose(library);
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    if (mmap(page, 4096, PROT_NONE, flags, -1, 0) != page)
        _exit(2);
}

int main(int argc, char **argv) {
    if (argc != 3)
        return 3;
    for (int i = 0; i < 3; i++) {
        use(argv[1], 4099);
        use(argv[2], 10007);
    }
    ledger_write();
    return 0;
}
