// Danger: an exception that nobody catches: libstdc++ aborts, and says nothing to libc.
// build: g++ -O0 -g
#include <stdexcept>

struct Wheel {
    void turn() { throw std::runtime_error("it does not turn"); }
};

int main() {
    Wheel *wheel = new Wheel;
    wheel->turn();
    delete wheel;
}
