// A library that keeps blocks for its user: one in its data, one in its thread-local storage.
// build: gcc -O0 -g -Wall -shared -fPIC
static void *in_data;
static __thread void *in_tls;

void plugin_keep(void *data, void *tls) {
    in_data = data;
    in_tls = tls;
}
