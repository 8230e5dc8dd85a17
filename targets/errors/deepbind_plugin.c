// The library of deepbind: its malloc and free are libc's own, whatever was preloaded.
// build: gcc -O1 -g -shared -fPIC
#include <stdlib.h>

void *plugin_make(void) { return malloc(100); }
void plugin_end(void *block) { free(block); }
