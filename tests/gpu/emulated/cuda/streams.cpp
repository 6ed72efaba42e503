// Streams, events and graphs. Work is done as late as it may be: when something waits for it. So an
// event that nobody waits for shows, and pinned memory that is filled again too early. The default
// stream and those that wait for it are one queue, which can be hurried: then it is as far ahead of
// other streams as it may be.
#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <vector>

#include "device.h"

using Works = std::vector<Work>;

struct Stream {
  int device = 0;
  std::deque<Work> queue;
  bool blocking = true;
  std::shared_ptr<Works> capture;
};

std::recursive_mutex gpu_mutex;
Counts gpu_counted;

namespace {

struct Event {
  Stream* stream = nullptr;
  long asked = 0, done = 0;  // how often it was recorded, and how often that was reached
};

Stream standard[DEVICES] = {{0, {}, true, {}}, {1, {}, true, {}}};
std::set<Stream*> others;
thread_local cudaError_t last = cudaSuccess;
cudaError_t broken = cudaSuccess;
bool hurried = false;

std::deque<Work>& queue_of(Stream* stream) {
  return stream->blocking ? standard[stream->device].queue : stream->queue;
}

void step(std::deque<Work>& queue) {
  const Work work = std::move(queue.front());
  queue.pop_front();
  const int error = work();
  if (error && broken == cudaSuccess) broken = static_cast<cudaError_t>(error);
}

void reach(Event* event, long number) {
  while (event->done < number && !queue_of(event->stream).empty()) step(queue_of(event->stream));
}

}  // namespace

cudaError_t told(cudaError_t error) {
  if (error == cudaSuccess) error = broken;
  if (error != cudaSuccess) last = error;
  return error;
}

// Null, 1 and 2 are the default stream of the current device: of the process, likewise, of a thread.
Stream* stream_of(void* handle) {
  const bool is_standard = reinterpret_cast<std::uintptr_t>(handle) <= 2;
  return is_standard ? &standard[gpu_current] : static_cast<Stream*>(handle);
}

int device_of(Stream* stream) { return stream->device; }

bool captured(Stream* stream) { return stream->capture != nullptr; }

cudaError_t refuse_captured(Stream* stream) {
  if (!captured(stream)) return cudaSuccess;
  stream->capture.reset();
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t submit(Stream* stream, Work work) {
  if (captured(stream)) {
    stream->capture->push_back(std::move(work));
    return cudaSuccess;
  }
  const auto waits_for_it = [=](Stream* other) {
    return stream == &standard[other->device] && other->blocking && captured(other);
  };
  if (std::any_of(others.begin(), others.end(), waits_for_it))
    return cudaErrorStreamCaptureImplicit;
  if (stream->device != gpu_current) return cudaErrorInvalidResourceHandle;
  queue_of(stream).push_back(std::move(work));
  if (hurried && stream->blocking) finish(stream);
  return broken;
}

void finish(Stream* stream) {
  std::deque<Work>& queue = queue_of(stream);
  if (queue.empty()) return;
  Door door;  // once for all: opening it takes longer than most kernels
  while (!queue.empty()) step(queue);
}

void finish_all() {
  for (Stream& stream : standard) finish(&stream);
  for (Stream* stream : others) finish(stream);
}

int gpu_launch(void* stream, Work work) {
  Lock lock(gpu_mutex);
  ++gpu_counted.launches;
  return told(submit(stream_of(stream), [work] {
    Door door;
    return work();
  }));
}

extern "C" {

const Counts* gpu_counts() { return &gpu_counted; }

void gpu_hurry(bool on) { hurried = on; }

cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error;
}

cudaError_t cudaDeviceSynchronize() {
  Lock lock(gpu_mutex);
  ++gpu_counted.waits;
  if (std::any_of(others.begin(), others.end(), captured))
    return told(cudaErrorStreamCaptureUnsupported);
  finish_all();
  return told(cudaSuccess);
}

// ---- Streams

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* made, unsigned flags) {
  Lock lock(gpu_mutex);
  auto* stream = new Stream;
  stream->device = gpu_current;
  stream->blocking = (flags & cudaStreamNonBlocking) == 0;
  others.insert(stream);
  *made = stream;
  return told(cudaSuccess);
}

cudaError_t cudaStreamCreate(cudaStream_t* made) {
  return cudaStreamCreateWithFlags(made, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* made, unsigned flags, int) {
  return cudaStreamCreateWithFlags(made, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t handle) {
  Lock lock(gpu_mutex);
  Stream* stream = stream_of(handle);
  finish(stream);
  others.erase(stream);  // not deleted: events may name it still
  return told(cudaSuccess);
}

cudaError_t cudaStreamSynchronize(cudaStream_t handle) {
  Lock lock(gpu_mutex);
  ++gpu_counted.waits;
  if (const cudaError_t error = refuse_captured(stream_of(handle))) return told(error);
  finish(stream_of(handle));
  return told(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t handle) {
  Lock lock(gpu_mutex);
  if (const cudaError_t error = refuse_captured(stream_of(handle))) return told(error);
  return queue_of(stream_of(handle)).empty() ? told(cudaSuccess) : cudaErrorNotReady;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  Lock lock(gpu_mutex);
  return told(submit(stream_of(stream), [=] {
    function(data);
    return 0;
  }));
}

// ---- Events

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* made, unsigned) {
  *made = new Event;
  return told(cudaSuccess);
}

cudaError_t cudaEventCreate(cudaEvent_t* made) { return cudaEventCreateWithFlags(made, 0); }

// Queued work may name it still.
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }

cudaError_t cudaEventRecord(cudaEvent_t handle, cudaStream_t stream) {
  Lock lock(gpu_mutex);
  auto* event = static_cast<Event*>(handle);
  event->stream = stream_of(stream);
  const long number = ++event->asked;
  return told(submit(event->stream, [=] {
    event->done = std::max(event->done, number);
    return 0;
  }));
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t handle, unsigned) {
  Lock lock(gpu_mutex);
  auto* event = static_cast<Event*>(handle);
  const long number = event->asked;
  return told(submit(stream_of(stream), [=] {
    reach(event, number);
    return 0;
  }));
}

cudaError_t cudaEventSynchronize(cudaEvent_t handle) {
  Lock lock(gpu_mutex);
  ++gpu_counted.waits;
  auto* event = static_cast<Event*>(handle);
  reach(event, event->asked);
  return told(cudaSuccess);
}

cudaError_t cudaEventQuery(cudaEvent_t handle) {
  Lock lock(gpu_mutex);
  auto* event = static_cast<Event*>(handle);
  if (event->done >= event->asked) return told(cudaSuccess);
  // Whoever asks again and again sees it come: a GPU works while nobody waits.
  std::deque<Work>& queue = queue_of(event->stream);
  if (!queue.empty()) {
    Door door;
    step(queue);
  }
  return cudaErrorNotReady;
}

// ---- Graphs: the work in the order in which it was captured

cudaError_t cudaStreamBeginCapture(cudaStream_t handle, cudaStreamCaptureMode) {
  Lock lock(gpu_mutex);
  Stream* stream = stream_of(handle);
  if (stream == &standard[stream->device] || captured(stream)) return told(cudaErrorStreamCaptureUnsupported);
  stream->capture = std::make_shared<Works>();
  return told(cudaSuccess);
}

cudaError_t cudaStreamEndCapture(cudaStream_t handle, cudaGraph_t* graph) {
  Lock lock(gpu_mutex);
  Stream* stream = stream_of(handle);
  *graph = nullptr;
  if (!captured(stream)) return told(cudaErrorStreamCaptureInvalidated);
  *graph = new std::shared_ptr<Works>(std::move(stream->capture));
  return told(cudaSuccess);
}

cudaError_t cudaStreamIsCapturing(cudaStream_t handle, cudaStreamCaptureStatus* status) {
  Lock lock(gpu_mutex);
  *status = captured(stream_of(handle)) ? cudaStreamCaptureStatusActive
                                        : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* made, cudaGraph_t graph, unsigned long long) {
  *made = new std::shared_ptr<Works>(*static_cast<std::shared_ptr<Works>*>(graph));
  return told(cudaSuccess);
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t handle, cudaStream_t stream) {
  Lock lock(gpu_mutex);
  ++gpu_counted.graphs;
  const auto works = *static_cast<std::shared_ptr<Works>*>(handle);
  return told(submit(stream_of(stream), [works] {
    for (const Work& work : *works)
      if (const int error = work()) return error;
    return 0;
  }));
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete static_cast<std::shared_ptr<Works>*>(graph);
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t graph) { return cudaGraphDestroy(graph); }

}  // extern "C"
