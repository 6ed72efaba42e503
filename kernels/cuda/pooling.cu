// The largest entries of windows, and linear maps along the last axes of planes.
//
// Which entries a result reads along an axis stands in a table of `taps` rows, one column for each
// result (formulas/line_maps.py). There are three axes, of which the first ones may have length 1.
#include "common.cuh"
#include "axes.cuh"

struct Planes {
  Index planes, size[3], out[3], taps[3];
  DEVICE Index results() const { return planes * out[0] * out[1] * out[2]; }
  DEVICE Index entries() const { return planes * size[0] * size[1] * size[2]; }
};

// v = the largest entry of each window, number = the first such one, counted in its plane. A NaN is
// larger than any number.
KERNEL largest_of_windows(const REAL* x, REAL* v, Index* number, const Index* read0,
                          const Index* read1, const Index* read2, Planes p) {
  for (Index i = first(); i < p.results(); i += stride()) {
    const Spot o(i, p.out);
    const REAL* plane = x + o.plane * p.size[0] * p.size[1] * p.size[2];
    Index found = -1;
    REAL best = 0;
    for (Index a = 0; a < p.taps[0]; ++a) {
      const Index page = read0[a * p.out[0] + o.at[0]] * p.size[1];
      for (Index b = 0; b < p.taps[1]; ++b) {
        const Index row = (page + read1[b * p.out[1] + o.at[1]]) * p.size[2];
        for (Index c = 0; c < p.taps[2]; ++c) {
          const Index here = row + read2[c * p.out[2] + o.at[2]];
          const REAL value = plane[here];
          if (found < 0 || value > best || value != value) best = value, found = here;
        }
      }
    }
    v[i] = best;
    number[i] = found;
  }
}

// dx = the sum of the dv of the windows whose largest entry it is. Windows from `begin` to `end`
// read an entry along each axis, so every sum has one order.
KERNEL largest_of_windows_backward(const REAL* dv, const Index* number, REAL* dx,
                                   const Index* begin0, const Index* end0, const Index* begin1,
                                   const Index* end1, const Index* begin2, const Index* end2,
                                   Planes p) {
  for (Index i = first(); i < p.entries(); i += stride()) {
    const Spot x(i, p.size);
    const Index own = (x.at[0] * p.size[1] + x.at[1]) * p.size[2] + x.at[2];
    REAL sum = 0;
    for (Index a = begin0[x.at[0]]; a < end0[x.at[0]]; ++a)
      for (Index b = begin1[x.at[1]]; b < end1[x.at[1]]; ++b)
        for (Index c = begin2[x.at[2]]; c < end2[x.at[2]]; ++c) {
          const Index o = ((x.plane * p.out[0] + a) * p.out[1] + b) * p.out[2] + c;
          if (number[o] == own) sum += dv[o];
        }
    dx[i] = sum;
  }
}

// y = the sum of what each result reads, times its weights; what has the weight 0 is not read.
KERNEL resample(const REAL* x, REAL* y, const Index* read0, const REAL* w0, const Index* read1,
                const REAL* w1, const Index* read2, const REAL* w2, Planes p) {
  for (Index i = first(); i < p.results(); i += stride()) {
    const Spot o(i, p.out);
    const REAL* plane = x + o.plane * p.size[0] * p.size[1] * p.size[2];
    REAL sum = 0;
    for (Index a = 0; a < p.taps[0]; ++a) {
      const Index at0 = a * p.out[0] + o.at[0];
      if (w0[at0] == 0) continue;
      REAL pages = 0;
      for (Index b = 0; b < p.taps[1]; ++b) {
        const Index at1 = b * p.out[1] + o.at[1];
        if (w1[at1] == 0) continue;
        const REAL* row = plane + (read0[at0] * p.size[1] + read1[at1]) * p.size[2];
        REAL rows = 0;
        for (Index c = 0; c < p.taps[2]; ++c) {
          const Index at2 = c * p.out[2] + o.at[2];
          if (w2[at2] != 0) rows += w2[at2] * row[read2[at2]];
        }
        pages += w1[at1] * rows;
      }
      sum += w0[at0] * pages;
    }
    y[i] = sum;
  }
}
