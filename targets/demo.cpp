// Does what makes a report worth looking at: a server of sessions that decodes one large image, makes many short-lived
// strings, works in threads, and loses 600 small contexts that lie all over the heap. With a second argument it goes on
// to read the image after it was freed, and dies of it.
//
//     demo SESSIONS [crash]
// build: g++ -O1 -g -pthread -fno-inline -fno-optimize-sibling-calls -fno-omit-frame-pointer -rdynamic
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

struct Image {
    static constexpr size_t bytes = 24 << 20;
    unsigned char *pixels;
};

struct Context {
    int session;
    char name[156];
};

struct Session {
    std::vector<std::string> values;
    std::unique_ptr<char[]> buffer;
};

static void wait_ms(int ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

Image decode_image() {
    Image image{static_cast<unsigned char *>(malloc(Image::bytes))};
    for (size_t at = 0; at < Image::bytes; at += 4096)
        image.pixels[at] = static_cast<unsigned char>(at >> 12);
    return image;
}

// A key as a string of its own: freed as soon as it was looked at.
std::string build_key(int session, int field) {
    return "session-key-with-a-long-prefix-" + std::to_string(session) + "-" + std::to_string(field);
}

// Nobody keeps what it returns.
Context *leak_ctx(int session) {
    auto *context = static_cast<Context *>(malloc(sizeof(Context)));
    context->session = session;
    snprintf(context->name, sizeof context->name, "context of session %d", session);
    return context;
}

void fill(Session &session, int id) {
    for (int field = 0; field < 8; field++)
        session.values.push_back(build_key(id, field) + std::string(40, '.'));
}

Session *open_session(int id) {
    auto *session = new Session;
    session->buffer.reset(new char[1200 + id % 700]);
    fill(*session, id);
    return session;
}

size_t handle(const Session &session, int id) {
    size_t found = 0;
    for (int field = 0; field < 24; field++)
        for (const auto &value : session.values)
            found += build_key(id, field).size() < value.size();
    return found;
}

void worker(int number, int rounds) {
    std::vector<std::vector<int>> tables;
    for (int round = 0; round < rounds; round++) {
        tables.emplace_back(200 + 100 * number + round);
        if (tables.size() > 64)
            tables.erase(tables.begin());
        if (round % 40 == 0)
            wait_ms(1);
    }
}

unsigned char look_at(const Image &image) {
    return *static_cast<volatile unsigned char *>(image.pixels + 24);
}

int main(int argc, char **argv) {
    const int count = argc > 1 ? atoi(argv[1]) : 600;
    std::vector<Session *> sessions;
    size_t found = 0;
    int leaked = 0;
    auto serve = [&](int from, int to) {
        for (int id = from; id < to; id++) {
            sessions.push_back(open_session(id));
            if (id * 600 / count >= leaked && leaked < 600) {
                leak_ctx(id);
                leaked++;
            }
            found += handle(*sessions.back(), id);
            if (id % (count / 40 + 1) == 0)
                wait_ms(2);
        }
    };
    serve(0, count * 2 / 3);
    Image image = decode_image();
    std::thread workers[] = {std::thread(worker, 0, 400), std::thread(worker, 1, 400)};
    serve(count * 2 / 3, count);
    for (auto &it : workers)
        it.join();
    free(image.pixels);
    // The sessions end one after the other; the contexts between them stay.
    for (size_t k = 0; k < sessions.size(); k++) {
        delete sessions[k];
        if (k % (sessions.size() / 40 + 1) == 0)
            wait_ms(2);
    }
    if (argc > 2 && strcmp(argv[2], "crash") == 0)
        std::thread([&] { found += look_at(image); }).join();
    printf("%d leaked of %zu bytes, %zu found\n", leaked, sizeof(Context), found);
}
