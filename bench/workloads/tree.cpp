// A recursive document tree: parse into nodes, serialise, drop. Arguments: rounds, threads, depth.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct Value {
    enum Kind { Number, String, Array, Object } kind = Number;
    double number = 0;
    std::string text;
    std::vector<std::unique_ptr<Value>> items;
    std::map<std::string, std::unique_ptr<Value>> fields;
};

struct Parser {
    const char *at;

    void skip_space() {
        while (*at == ' ' || *at == '\n') at++;
    }
    std::string string() {
        std::string out;
        for (at++; *at != '"'; at++) out.push_back(*at);
        at++;
        return out;
    }
    std::unique_ptr<Value> value() {
        skip_space();
        if (*at == '{') return object();
        if (*at == '[') return array();
        auto value = std::make_unique<Value>();
        if (*at == '"') {
            value->kind = Value::String;
            value->text = string();
        } else {
            char *end;
            value->number = strtod(at, &end);
            at = end;
        }
        return value;
    }
    std::unique_ptr<Value> array() {
        auto value = std::make_unique<Value>();
        value->kind = Value::Array;
        for (at++, skip_space(); *at != ']'; skip_space()) {
            value->items.push_back(this->value());
            skip_space();
            if (*at == ',') at++;
        }
        at++;
        return value;
    }
    std::unique_ptr<Value> object() {
        auto value = std::make_unique<Value>();
        value->kind = Value::Object;
        for (at++, skip_space(); *at != '}'; skip_space()) {
            auto key = string();
            skip_space();
            at++;
            value->fields[key] = this->value();
            skip_space();
            if (*at == ',') at++;
            skip_space();
        }
        at++;
        return value;
    }
};

static void serialise(const Value &value, std::string &out) {
    switch (value.kind) {
    case Value::Number: out += std::to_string(value.number); break;
    case Value::String: out += '"' + value.text + '"'; break;
    case Value::Array:
        out += '[';
        for (auto &item : value.items) {
            serialise(*item, out);
            out += ',';
        }
        out += ']';
        break;
    case Value::Object:
        out += '{';
        for (auto &field : value.fields) {
            out += '"' + field.first + "\":";
            serialise(*field.second, out);
            out += ',';
        }
        out += '}';
    }
}

static std::string generate(int depth, unsigned &seed) {
    seed = seed * 1103515245 + 12345;
    unsigned r = seed >> 16;
    if (depth <= 0 || r % 7 == 0)
        return r % 3 ? std::to_string(r % 1000) : "\"str" + std::string(r % 40, 'x') + "\"";
    int count = 2 + r % 4;
    std::string out = r & 1 ? "[" : "{";
    for (int i = 0; i < count; i++) {
        if (i) out += ",";
        if (!(r & 1)) out += "\"key_" + std::to_string(i) + std::string(r % 20, 'k') + "\":";
        out += generate(depth - 1, seed);
    }
    return out + (r & 1 ? "]" : "}");
}

static size_t work(int rounds, unsigned seed, int depth) {
    std::string document = "[";
    for (int i = 0; i < 200; i++) {
        if (i) document += ",";
        document += generate(depth, seed);
    }
    document += "]";
    size_t total = 0;
    for (int i = 0; i < rounds; i++) {
        Parser parser{document.c_str()};
        auto tree = parser.value();
        std::string out;
        serialise(*tree, out);
        total += out.size();
    }
    return total;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 1;
    int threads = argc > 2 ? atoi(argv[2]) : 1;
    int depth = argc > 3 ? atoi(argv[3]) : 6;
    std::vector<std::thread> others;
    for (int i = 1; i < threads; i++) others.emplace_back([=] { work(rounds, 42 + i, depth); });
    size_t total = work(rounds, 42, depth);
    for (auto &other : others) other.join();
    printf("%zu\n", total);
}
