// What the libraries that play CUDA share: memory of the device, and work on streams.
#ifndef DEVICE_H
#define DEVICE_H

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>

#include "cuda_types.h"

// What is done on the device; it returns a cudaError_t.
using Work = std::function<int()>;

// Every call holds it: the emulator runs one kernel at a time.
extern std::recursive_mutex gpu_mutex;
using Lock = std::lock_guard<std::recursive_mutex>;

// The devices do not reach each other's memory.
constexpr int DEVICES = 2;
extern thread_local int gpu_current;

// While one exists, this process may touch the memory of the device.
struct Door {
  Door();
  ~Door();
};

// Says whether so many bytes from an address on are in one allocation of a device, or of pinned
// memory of the host; the third, whether it is an address of a device at all.
bool gpu_owns(int device, const void* address, std::size_t bytes = 1);
bool gpu_pinned(const void* address, std::size_t bytes = 1);
bool gpu_address(const void* address);

struct Stream;
Stream* stream_of(void* handle);
int device_of(Stream* stream);
// Puts work on a stream; while the stream is captured, into the graph.
cudaError_t submit(Stream* stream, Work work);
bool captured(Stream* stream);
// Returns an error if a stream is captured, whose capture that ends: it must not be waited for.
cudaError_t refuse_captured(Stream* stream);
void finish(Stream* stream);
void finish_all();

// Work of a library on a stream, with the device's memory open to it.
int gpu_launch(void* stream, Work work);

// Remembers an error for cudaGetLastError; one of work on the device stays for good.
cudaError_t told(cudaError_t error);
// An error of work, with its reason on stderr.
int gpu_fail(int error, const char* why);

// What was asked for since the start, for tests of what a step costs.
struct Counts {
  long launches, graphs, to_device, to_host, within, waits;
};
extern Counts gpu_counted;

#endif
