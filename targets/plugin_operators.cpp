// A library that plugins.c opens: a plug-in with operators new and delete of its own, as one has that is
// linked with a static C++ runtime.
// build: gcc -O2 -g -shared -fPIC
// build(second): gcc -O2 -g -shared -fPIC -DSECOND
#include <cstdlib>
#include <new>

void *operator new(size_t size) { return malloc(size); }
void *operator new[](size_t size) { return malloc(size); }
void operator delete(void *p) noexcept { free(p); }
void operator delete(void *p, size_t) noexcept { free(p); }
void operator delete[](void *p) noexcept { free(p); }
void operator delete[](void *p, size_t) noexcept { free(p); }

extern "C" void *plugin_new(size_t size) { return operator new(size); }
extern "C" void *plugin_new_array(size_t size) { return operator new[](size); }
extern "C" void plugin_delete(void *p) { operator delete(p); }
extern "C" void plugin_delete_array(void *p) { operator delete[](p); }
#ifdef SECOND
// Not the same library at another address: what lies where differs too.
extern "C" int plugin_pads[4099];
int plugin_pads[4099] = {1};
#endif
