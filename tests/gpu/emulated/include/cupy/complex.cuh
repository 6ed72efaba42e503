// CuPy's complex numbers stand on Thrust, which is the GPU's; nothing tested here is complex.
#pragma once
template <class T>
class complex;
