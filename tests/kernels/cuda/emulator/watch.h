// What watches every access to memory; without NN_WATCH nothing does.
#ifndef NN_WATCH_H
#define NN_WATCH_H

#include <cstdint>
#include <string>

[[noreturn]] void nn_fail(const std::string& what);
// The number, within its block, of the thread that runs.
extern int nn_current_thread __attribute__((visibility("hidden")));

#if defined(NN_WATCH)
void nn_watch_launch(const char* stacks, const char* stacks_end, const char* shared,
                     const char* shared_end, const std::uintptr_t* ranges, int count);
void nn_watch_block();
void nn_watch_barrier();
void nn_watch_end();
#else
inline void nn_watch_launch(const char*, const char*, const char*, const char*,
                            const std::uintptr_t*, int) {}
inline void nn_watch_block() {}
inline void nn_watch_barrier() {}
inline void nn_watch_end() {}
#endif

#endif
