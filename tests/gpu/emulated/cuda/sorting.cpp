// Thrust's sorts, which CuPy has compiled for GPUs only: the functions of cupy_thrust.h.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "device.h"

namespace {

using Shape = std::vector<std::ptrdiff_t>;

// NaN comes last, as in NumPy.
template <class T>
bool before(const T& a, const T& b) {
  return a < b || (b != b && a == a);
}

template <class T>
void sort_rows(T* data, std::size_t* order, const Shape& shape) {
  std::ptrdiff_t size = 1;
  for (const std::ptrdiff_t n : shape) size *= n;
  const std::ptrdiff_t length = shape.empty() ? 1 : shape.back();
  for (std::ptrdiff_t row = 0; row < size; row += length) {
    std::vector<std::size_t> ranks(static_cast<std::size_t>(length));
    std::iota(ranks.begin(), ranks.end(), std::size_t{0});
    std::stable_sort(ranks.begin(), ranks.end(), [&](std::size_t a, std::size_t b) {
      return before(data[row + a], data[row + b]);
    });
    const std::vector<T> old(data + row, data + row + length);
    for (std::ptrdiff_t i = 0; i < length; ++i) {
      data[row + i] = old[ranks[i]];
      if (order) order[row + i] = ranks[i];
    }
  }
}

// By the numbers of cupy/type_dispatcher.cuh.
int sort(int type, void* data, std::size_t* order, const Shape& shape) {
  switch (type) {
    case 0: sort_rows(static_cast<std::int8_t*>(data), order, shape); return 0;
    case 1: sort_rows(static_cast<std::uint8_t*>(data), order, shape); return 0;
    case 2: sort_rows(static_cast<std::int16_t*>(data), order, shape); return 0;
    case 3: sort_rows(static_cast<std::uint16_t*>(data), order, shape); return 0;
    case 4: sort_rows(static_cast<std::int32_t*>(data), order, shape); return 0;
    case 5: sort_rows(static_cast<std::uint32_t*>(data), order, shape); return 0;
    case 6: sort_rows(static_cast<std::int64_t*>(data), order, shape); return 0;
    case 7: sort_rows(static_cast<std::uint64_t*>(data), order, shape); return 0;
    case 9: sort_rows(static_cast<float*>(data), order, shape); return 0;
    case 10: sort_rows(static_cast<double*>(data), order, shape); return 0;
    case 13: sort_rows(static_cast<bool*>(data), order, shape); return 0;
    default: return gpu_fail(719, "a sort of this type is not played");
  }
}

}  // namespace

void thrust_sort(int type, void* data, std::size_t*, const Shape& shape, std::intptr_t stream,
                 void*) {
  gpu_launch(reinterpret_cast<void*>(stream), [=] { return sort(type, data, nullptr, shape); });
}

void thrust_argsort(int type, std::size_t* order, void* data, void*, const Shape& shape,
                    std::intptr_t stream, void*) {
  gpu_launch(reinterpret_cast<void*>(stream), [=] { return sort(type, data, order, shape); });
}
