// The program that the synthetic process runs: its functions and where each allocates. Names as real ones look.

/** A function: name with parameters, short name, file, line, module, flags as in `Frames`. */
export type Fn = [name: string, short: string, file: string, line: number, module: string, flags: number];

const NAMED = 2;
const INLINED = 1;
const WRAPPER = 4;
const DEMO = '/home/me/demo/src/';

export const FUNCTIONS = {
  start: ['_start', '_start', '', 0, 'demo', NAMED | WRAPPER],
  main: ['main', 'main', `${DEMO}main.cpp`, 84, 'demo', NAMED],
  serve: ['demo::Server::serve(demo::Config const&, std::chrono::milliseconds)', 'demo::Server::serve', `${DEMO}server.cpp`, 118, 'demo', NAMED],
  accept: ['demo::Server::accept(int)', 'demo::Server::accept', `${DEMO}server.cpp`, 61, 'demo', NAMED | INLINED],
  parse: ['demo::http::parse(std::basic_string_view<char, std::char_traits<char> >)', 'demo::http::parse', `${DEMO}http/parse.cpp`, 203, 'demo', NAMED],
  header: ['demo::http::(anonymous namespace)::read_header(demo::http::Cursor&)', 'demo::http::(anonymous namespace)::read_header', `${DEMO}http/parse.cpp`, 77, 'demo', NAMED],
  session: ['demo::open_session(demo::Request const&)', 'demo::open_session', `${DEMO}session.cpp`, 40, 'demo', NAMED],
  fill: ['demo::Session::fill(std::map<std::string, demo::Value, std::less<void>, std::allocator<std::pair<std::string const, demo::Value> > > const&)', 'demo::Session::fill', `${DEMO}session.cpp`, 72, 'demo', NAMED],
  key: ['demo::build_key(unsigned long, std::string const&)', 'demo::build_key', `${DEMO}session.cpp`, 19, 'demo', NAMED],
  leak: ['demo::leak_context(demo::Session*)', 'demo::leak_context', `${DEMO}session.cpp`, 131, 'demo', NAMED],
  image: ['demo::decode_image(std::span<unsigned char const, 18446744073709551615ul>)', 'demo::decode_image', `${DEMO}image.cpp`, 55, 'demo', NAMED],
  row: ['demo::Image<demo::Rgba<unsigned char>, 4ul>::resize_rows(unsigned long)', 'demo::Image<…>::resize_rows', `${DEMO}image.hpp`, 33, 'demo', NAMED | INLINED],
  worker: ['demo::Worker::run()', 'demo::Worker::run', `${DEMO}worker.cpp`, 48, 'demo', NAMED],
  job: ['demo::Worker::run()::{lambda(demo::Job&)#1}::operator()(demo::Job&) const', 'demo::Worker::run()::{lambda#1}::operator()', `${DEMO}worker.cpp`, 53, 'demo', NAMED],
  log: ['demo::log::append(demo::log::Level, std::string)', 'demo::log::append', `${DEMO}log.cpp`, 26, 'demo', NAMED],
  cache: ['demo::Cache<std::string, demo::Blob>::insert(std::string&&, demo::Blob)', 'demo::Cache<…>::insert', `${DEMO}cache.hpp`, 90, 'demo', NAMED],
  thread: ['std::thread::_State_impl<std::thread::_Invoker<std::tuple<void (demo::Worker::*)(), demo::Worker*> > >::_M_run()', 'std::thread::_State_impl<…>::_M_run', '/usr/include/c++/12/bits/std_thread.h', 210, 'demo', NAMED | WRAPPER],
  clone: ['start_thread', 'start_thread', './nptl/pthread_create.c', 442, 'libc.so.6', NAMED | WRAPPER],
  libc: ['__libc_start_main', '__libc_start_main', '../csu/libc-start.c', 360, 'libc.so.6', NAMED | WRAPPER],
  string: ['std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >::_M_create(unsigned long&, unsigned long)', 'std::string::_M_create', '/usr/include/c++/12/bits/basic_string.tcc', 153, 'libstdc++.so.6', NAMED | WRAPPER],
  vector: ['std::vector<unsigned char, std::allocator<unsigned char> >::_M_default_append(unsigned long)', 'std::vector<…>::_M_default_append', '/usr/include/c++/12/bits/vector.tcc', 650, 'demo', NAMED | WRAPPER],
  node: ['std::_Rb_tree<std::string, std::pair<std::string const, demo::Value> >::_M_create_node', 'std::_Rb_tree<…>::_M_create_node', '/usr/include/c++/12/bits/stl_tree.h', 611, 'demo', NAMED | INLINED | WRAPPER],
  new: ['operator new(unsigned long)', 'operator new', '', 0, 'libstdc++.so.6', NAMED | WRAPPER],
  sqlite: ['sqlite3VdbeMemGrow', 'sqlite3VdbeMemGrow', '', 0, 'libsqlite3.so.0.8.6', NAMED],
  exec: ['sqlite3_exec', 'sqlite3_exec', '', 0, 'libsqlite3.so.0.8.6', NAMED],
  blind: ['libcrypto.so.3+0x1c2f40', 'libcrypto.so.3+0x1c2f40', '', 0, 'libcrypto.so.3', 0],
  blind2: ['libcrypto.so.3+0x1c8811', 'libcrypto.so.3+0x1c8811', '', 0, 'libcrypto.so.3', 0],
  python: ['<module>', '<module>', '/home/me/demo/tools/report.py', 12, 'report.py', NAMED],
  rust: ['<demo_codec::Frame as core::convert::TryFrom<&[u8]>>::try_from', '<demo_codec::Frame as TryFrom>::try_from', '/home/me/demo/codec/src/frame.rs', 64, 'libdemo_codec.so', NAMED],
  hostile: ['<img src=x onerror="document.title=1">::</script>\u202egnp.exe', '<img src=x onerror="document.title=1">::</script>\u202egnp.exe', '/tmp/\u202e<b>.c', 1, 'demo', NAMED],
} satisfies Record<string, Fn>;

export type FnName = keyof typeof FUNCTIONS;

/** How a place allocates. `life`: expected share of the run that a block lives; 0: freed at once. */
export interface Place {
  path: FnName[];
  weight: number;
  sizes: number[];
  life: number;
  thread: number;
  api: number;
  /** Share of the run in which it allocates. */
  from: number;
  to: number;
  /** Share of blocks that are never freed. */
  leaks: number;
}

const MAIN: FnName[] = ['start', 'libc', 'main'];
const SERVE: FnName[] = [...MAIN, 'serve', 'accept'];
const WORKER: FnName[] = ['clone', 'thread', 'worker'];

function place(path: FnName[], weight: number, sizes: number[], life: number, rest: Partial<Place> = {}): Place {
  return { path, weight, sizes, life, thread: 0, api: 2, from: 0, to: 1, leaks: 0, ...rest };
}

export const PLACES: Place[] = [
  place([...SERVE, 'parse', 'header', 'string', 'new'], 30, [17, 25, 31, 49, 120], 0),
  place([...SERVE, 'parse', 'vector', 'new'], 6, [256, 512, 4096], 0.001),
  place([...SERVE, 'session', 'key', 'string', 'new'], 20, [33, 41, 65], 0.0005),
  place([...SERVE, 'session', 'fill', 'node', 'new'], 14, [104], 0.25, { from: 0.1, to: 0.7 }),
  place([...SERVE, 'session', 'fill', 'string', 'new'], 8, [40, 72], 0.25, { from: 0.1, to: 0.7 }),
  place([...SERVE, 'session', 'leak'], 1.5, [168], 0.2, { leaks: 0.9, from: 0.15 }),
  place([...MAIN, 'image', 'row', 'vector', 'new'], 0.3, [65536, 131072, 262144], 0.1, { from: 0.35, to: 0.6 }),
  place([...MAIN, 'image', 'vector', 'new'], 0.05, [3145728], 0.15, { from: 0.4, to: 0.55 }),
  place([...WORKER, 'job', 'log', 'string', 'new'], 10, [64, 90, 200], 0.0005, { thread: 1 }),
  place([...WORKER, 'job', 'log', 'string', 'new'], 6, [64, 90, 200], 0.0005, { thread: 2 }),
  place([...WORKER, 'job', 'cache', 'new'], 5, [512, 1024, 2048], 0.3, { thread: 1, from: 0.2, leaks: 0.05 }),
  place([...WORKER, 'job', 'cache', 'new'], 4, [512, 1024, 2048], 0.3, { thread: 2, from: 0.2, leaks: 0.05 }),
  place([...WORKER, 'job', 'rust'], 3, [96, 1500], 0.002, { thread: 3, api: 0 }),
  place([...MAIN, 'exec', 'sqlite'], 6, [48, 400, 1200], 0.02, { api: 0, from: 0.05, to: 0.9 }),
  place([...SERVE, 'blind', 'blind2'], 3, [24, 80, 256], 0.05, { api: 0 }),
  place([...MAIN, 'python', 'python', 'python'], 2, [56, 64], 0.4, { api: 1, leaks: 0.2 }),
  place([...MAIN, 'hostile'], 0.2, [13], 0.5, { api: 0, leaks: 0.5 }),
];
