// Two objects that hold each other by shared_ptr: a cycle that is never freed.
// build: g++ -O0 -g
#include <memory>

struct Node {
    std::shared_ptr<Node> other;
    char payload[64];
};

int main() {
    auto first = std::make_shared<Node>();
    auto second = std::make_shared<Node>();
    first->other = second;
    second->other = first;
}
