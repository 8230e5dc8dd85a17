// The library of two_runtimes: it takes and gives back by the shared runtime.
// build: g++ -O2 -g -shared -fPIC
#include <string>

struct Thing { virtual ~Thing() {} std::string text = std::string(100, 'x'); };

extern "C" Thing *plugin_make() { return new Thing; }
extern "C" void plugin_end(Thing *thing) { delete thing; }
extern "C" void plugin_fill(std::string *text) { text->append(500, 'y'); }
