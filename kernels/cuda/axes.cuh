// Divisions by which the number of an element becomes its places along axes.
#ifndef NN_AXES
#define NN_AXES

// a / b of what is not negative; a division of 32 bits takes a fraction of the time of one of 64.
DEVICE Index quotient(Index a, Index b) {
  return (a | b) >> 32 == 0 ? static_cast<Index>(Word(a) / Word(b)) : a / b;
}

// Number i of an array of planes, as its plane and its places in it.
struct Spot {
  Index plane, at[3];
  DEVICE Spot(Index i, const Index* n) {
    Index row = quotient(i, n[2]);
    at[2] = i - row * n[2];
    const Index page = quotient(row, n[1]);
    at[1] = row - page * n[1];
    plane = quotient(page, n[0]);
    at[0] = page - plane * n[0];
  }
};

// Up to four axes of an array, innermost first: their sizes and the elements between neighbours.
struct Lengths {
  Index n0, n1, n2, n3, s0, s1, s2, s3;
  DEVICE Index place(Index i) const {
    return (i | n0 | n1 | n2) >> 32 == 0 ? place_in<Word>(Word(i)) : place_in<Counter>(Counter(i));
  }
  template <class T>
  DEVICE Index place_in(T i) const {
    const T row = i / T(n0), rest = row / T(n1), last = rest / T(n2);
    return Index(i - row * T(n0)) * s0 + Index(row - rest * T(n1)) * s1 +
           Index(rest - last * T(n2)) * s2 + Index(last) * s3;
  }
};

#endif
