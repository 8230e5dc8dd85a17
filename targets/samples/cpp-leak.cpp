// An object and an array of C++ are never deleted.
// build: g++ -O0 -g
#include <iostream>

struct Thing {
    int numbers[10];
    virtual ~Thing() {}
};

int main() {
    Thing *thing = new Thing;
    Thing *things = new Thing[3];
    std::cout << (thing != things) << std::endl;
}
