// Objects that are kept by pointers to the middle of their blocks, and lost ones. Prints what became of each block,
// as leaks.c does.
// build: g++ -O0 -g -std=c++17
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

struct First {
    virtual ~First() = default;
    int first = 1;
};
struct Second {
    virtual ~Second() = default;
    virtual int second() { return 2; }
    char text[200] = {};
};
struct Both : First, Second {
    int second() override { return 3; }
};
struct Element {
    ~Element() {}
    int value = 0;
};
struct Plain {
    int numbers[100];
};
struct Circle {
    std::shared_ptr<Circle> next;
    char text[300];
};

Second *second_base;
Element *elements;
int *inside;
std::string *text;

static void fill() {
    second_base = new Both;
    elements = new Element[61];
    inside = (new Plain)->numbers + 50;
    text = new std::string(500, 'x');
    // Each keeps the other: with the counters it is one block each.
    auto one = std::make_shared<Circle>();
    one->next = std::make_shared<Circle>();
    one->next->next = one;
}

int main() {
    fill();
    char wipe[16384];
    memset(wipe, 0, sizeof wipe);
    asm volatile("" : : "r"(wipe) : "memory");
    printf("second_base %zu reachable\n", sizeof(Both));
    printf("elements %zu reachable\n", 8 + 61 * sizeof(Element));
    printf("inside %zu possible\n", sizeof(Plain));
    printf("text %zu reachable\n", sizeof(std::string));
    printf("text 501 reachable\n");
    printf("circle %zu definite\n", sizeof(Circle) + 16);
    printf("circle %zu indirect\n", sizeof(Circle) + 16);
    fflush(stdout);
}
