// A compiler's way with memory: a grammar of 32 rules that call each other at random, up to 40 deep, so that many
// call paths are new; nodes from an arena and from malloc, short-lived scratch beside them. Argument: how many
// functions to compile.
// build: g++ -O2 -g
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

constexpr int RULES = 32, DEEPEST = 38;

struct Arena {
    std::vector<std::unique_ptr<char[]>> chunks;
    size_t used = 65536;

    void *take(size_t size) {
        if (used + size > 65536) {
            chunks.push_back(std::unique_ptr<char[]>(new char[65536]));
            used = 0;
        }
        used += size;
        return chunks.back().get() + used - size;
    }
};

struct Node {
    int kind = 0;
    std::string name;
    std::vector<std::unique_ptr<Node>> children;
};

struct Compiler {
    Arena arena;
    unsigned seed = 0;
    size_t total = 0;

    unsigned next(unsigned below) {
        seed = seed * 1103515245 + 12345;
        return (seed >> 16) % below;
    }
};

using Rule = std::unique_ptr<Node> (*)(Compiler &, int);
template <int N> std::unique_ptr<Node> rule(Compiler &compiler, int depth);

template <int... N> constexpr std::array<Rule, RULES> table(std::integer_sequence<int, N...>) {
    return {rule<N>...};
}
static const std::array<Rule, RULES> rules = table(std::make_integer_sequence<int, RULES>());

template <int N> __attribute__((noinline)) std::unique_ptr<Node> rule(Compiler &compiler, int depth) {
    auto node = std::make_unique<Node>();
    node->kind = N;
    node->name.assign(N % 4 == 0 ? 20 + N : 8, 'a' + N % 26);
    compiler.arena.take(24 + N * 8);
    if (depth < DEEPEST) {
        node->children.push_back(rules[compiler.next(RULES)](compiler, depth + 1));
        if (compiler.next(8) == 0)
            node->children.push_back(rules[compiler.next(RULES)](compiler, depth + 1));
    }
    for (int i = 0; i < 4 + N % 8; i++) {
        std::string scratch(24 + i, 'x');
        compiler.total += scratch.size();
    }
    compiler.total += node->name.size();
    return node;
}

int main(int count, char **arguments) {
    int functions = count > 1 ? atoi(arguments[1]) : 300;
    Compiler compiler;
    std::vector<std::unique_ptr<Node>> program;
    for (int i = 0; i < functions; i++) {
        // Sources repeat themselves: every hundredth function is the same.
        compiler.seed = i % 100;
        auto function = rules[i % 100 % RULES](compiler, 0);
        // A few functions are kept until the end, as a compiler keeps its declarations.
        if (i % 8 == 0) program.push_back(std::move(function));
    }
    printf("%zu %zu\n", compiler.total, program.size());
}
