// The words of elementwise bodies on one number, and where a broadcast operand has it.
//
// The bodies themselves are written out by bodies.py, in these words, arithmetic and comparisons.
#ifndef NN_WORDS
#define NN_WORDS

DEVICE REAL word_absolute(REAL x) { return fabs(x); }
DEVICE REAL word_cos(REAL x) { return cos(x); }
DEVICE REAL word_exp(REAL x) { return exp(x); }
DEVICE REAL word_expm1(REAL x) { return expm1(x); }
// Below the smallest normal number arithmetic is slow on a CPU; the same is done here.
DEVICE REAL word_flushed(REAL x) {
  constexpr REAL least = sizeof(REAL) == 4 ? REAL(1.17549435e-38) : REAL(2.2250738585072014e-308);
  return fabs(x) < least ? REAL(0) : x;
}
DEVICE REAL word_floor(REAL x) { return floor(x); }
DEVICE REAL word_like(REAL value, REAL) { return value; }
DEVICE REAL word_log(REAL x) { return log(x); }
DEVICE REAL word_log1p(REAL x) { return log1p(x); }
// NaN if one of the two is.
DEVICE REAL word_maximum(REAL a, REAL b) { return a < b || b != b ? b : a; }
DEVICE REAL word_minimum(REAL a, REAL b) { return a > b || b != b ? b : a; }
DEVICE REAL word_power(REAL a, REAL b) {
  return b == REAL(2) ? a * a : b == REAL(1) ? a : pow(a, b);
}
DEVICE REAL word_real(REAL x) { return x; }
DEVICE REAL word_sign(REAL x) { return x > 0 ? REAL(1) : x < 0 ? REAL(-1) : x; }
DEVICE REAL word_sin(REAL x) { return sin(x); }
DEVICE REAL word_sqrt(REAL x) { return sqrt(x); }
DEVICE REAL word_tanh(REAL x) { return tanh(x); }
DEVICE REAL word_where(bool condition, REAL a, REAL b) { return condition ? a : b; }

// The distribution's tail beyond |x|, and e^(-x^2 / 2).
struct Tail {
  REAL tail, density;
};
DEVICE REAL word_normal_tail(REAL x) {
  return REAL(0.5) * erfc(fabs(x) * REAL(0.70710678118654752440));
}
DEVICE Tail word_normal_tail_and_density(REAL x) {
  return {word_normal_tail(x), exp(REAL(-0.5) * (x * x))};
}

DEVICE Pack spread(REAL x) {
  Pack pack;
  for (int k = 0; k < WIDTH; ++k) pack.v[k] = x;
  return pack;
}

// Element number i of an array of up to four axes, of which n0 is the length of the innermost.
struct Place {
  Index at0, at1, at2, at3;
  DEVICE Place(Index i, Index n0, Index n1, Index n2) {
    if ((i | n0 | n1 | n2) >> 32 == 0) {  // a division of 32 bits takes a fraction of the time
      const Word row = Word(i) / Word(n0), rest = row / Word(n1);
      at0 = Word(i) - row * Word(n0), at1 = row - rest * Word(n1);
      at3 = rest / Word(n2), at2 = rest - Word(at3) * Word(n2);
    } else {
      const Index row = i / n0, rest = row / n1;
      at0 = i - row * n0, at1 = row - rest * n1;
      at3 = rest / n2, at2 = rest - at3 * n2;
    }
  }
  // How far from its start an operand has it, from its numbers between neighbours; 0 repeats.
  DEVICE Index in(Index s0, Index s1, Index s2, Index s3) const {
    return at0 * s0 + at1 * s1 + at2 * s2 + at3 * s3;
  }
};

#endif
