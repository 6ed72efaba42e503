// Divisions by which the number of an element becomes its places along axes.
#ifndef NN_AXES
#define NN_AXES

// a / b of what is not negative; a division of 32 bits takes a fraction of the time of one of 64.
DEVICE Index quotient(Index a, Index b) {
  return (a | b) >> 32 == 0 ? static_cast<Index>(Word(a) / Word(b)) : a / b;
}

#endif
