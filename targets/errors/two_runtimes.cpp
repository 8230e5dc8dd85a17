// Danger: a program with a C++ runtime of its own and a library with the shared one take and give back each other's
// blocks. Both runtimes are malloc and free in the end: nothing is wrong.
// build: g++ -O2 -g -static-libstdc++ -static-libgcc -ldl
// build(stripped): g++ -O2 -s -static-libstdc++ -static-libgcc -ldl
// build(plain): g++ -O0 -g -static-libstdc++ -static-libgcc -ldl
#include <dlfcn.h>
#include <string>

struct Thing { virtual ~Thing() {} std::string text = std::string(100, 'x'); };

int main(int, char **words) {
    void *library = dlopen(words[1], RTLD_NOW);
    if (library == nullptr)
        return 1;
    auto make = (Thing *(*)())dlsym(library, "plugin_make");
    auto end = (void (*)(Thing *))dlsym(library, "plugin_end");
    auto fill = (void (*)(std::string *))dlsym(library, "plugin_fill");
    for (int i = 0; i < 10; i++) {
        delete make();
        end(make());
        end(new Thing);
        delete new Thing;
        std::string text(50, 'z');
        fill(&text);
        fill(&text);
    }
    return 0;
}
