// The part of CUDA C++ that the kernels use, for g++: put before the kernel's source, it turns the kernel into a
// function that the fibers run. Rounding is CUDA's with --fmad=false, given -ffp-contract=off.
#pragma once
#include "fibers.hpp"
#ifdef FIBER_RACE_CHECK
#include "race.hpp"
#else
#define FIBER_TOUCH(pointer, bytes, write)
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __constant__ static const
#define __shared__ static
#define DYN_SMEM(T, name) T* name = reinterpret_cast<T*>(fiber::machine.dynamic_shared)

using dim3 = fiber::Index;
#define threadIdx (fiber::machine.current->index)
#define blockIdx (fiber::machine.block_index)
#define blockDim (fiber::machine.block_size)
#define gridDim (fiber::machine.grid_size)
constexpr int warpSize = 32;

#define SHIM_VECTOR2(T, N) \
  struct alignas(2 * sizeof(T)) N##2 { T x, y; }; \
  static inline N##2 make_##N##2(T x, T y) { return {x, y}; }
#define SHIM_VECTOR3(T, N) \
  struct N##3 { T x, y, z; }; \
  static inline N##3 make_##N##3(T x, T y, T z) { return {x, y, z}; }
#define SHIM_VECTOR4(T, N) \
  struct alignas(4 * sizeof(T)) N##4 { T x, y, z, w; }; \
  static inline N##4 make_##N##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define SHIM_VECTORS(T, N) SHIM_VECTOR2(T, N) SHIM_VECTOR3(T, N) SHIM_VECTOR4(T, N)
SHIM_VECTORS(signed char, char)
SHIM_VECTORS(unsigned char, uchar)
SHIM_VECTORS(short, short)
SHIM_VECTORS(unsigned short, ushort)
SHIM_VECTORS(int, int)
SHIM_VECTORS(unsigned, uint)
SHIM_VECTORS(float, float)
SHIM_VECTOR2(long long, longlong)
SHIM_VECTOR2(unsigned long long, ulonglong)

// --- barriers and warp collectives; the line tells two of them apart
#define __syncthreads() ((void)fiber::barrier(__LINE__, false))
#define __syncthreads_count(p) fiber::barrier(__LINE__, (p) != 0)
#define __syncthreads_or(p) (fiber::barrier(__LINE__, (p) != 0) != 0)
#define __syncthreads_and(p) (fiber::barrier(__LINE__, (p) == 0) == 0)

struct ShimSyncwarp {
  int line;
  void operator()(unsigned mask = 0xffffffffu) { fiber::collective(fiber::Collective::sync, mask, 0, 0, line); }
};
static inline unsigned shim_ballot(int line, unsigned mask, bool vote) {
  return static_cast<unsigned>(fiber::collective(fiber::Collective::ballot, mask, vote, 0, line));
}
template <class T>
inline T shim_shuffle(int line, unsigned mask, T value, unsigned source) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t packed = 0;
  memcpy(&packed, &value, sizeof value);
  packed = fiber::collective(fiber::Collective::shuffle, mask, packed, source & 31, line);
  memcpy(&value, &packed, sizeof value);
  return value;
}
template <class T, class F>
inline T shim_reduce(int line, unsigned mask, T value, F combine) {
  T result = value;
  bool first = true;
  for (unsigned left = mask; left; left &= left - 1) {
    const T other = shim_shuffle(line, mask, value, __builtin_ctz(left));
    result = first ? other : combine(result, other);
    first = false;
  }
  return result;
}
#define SHIM_LANE (fiber::machine.current->linear & 31u)
#define SHIM_LANE_OR_SELF(wanted) ((unsigned)(wanted) < 32u ? (unsigned)(wanted) : SHIM_LANE)
#define __syncwarp(...) ShimSyncwarp{__LINE__}(__VA_ARGS__)
#define __ballot_sync(m, p) shim_ballot(__LINE__, (m), (p) != 0)
#define __any_sync(m, p) (shim_ballot(__LINE__, (m), (p) != 0) != 0)
#define __all_sync(m, p) (shim_ballot(__LINE__, (m), (p) == 0) == 0)
#define __shfl_sync(m, v, lane) shim_shuffle(__LINE__, (m), (v), (lane))
#define __shfl_xor_sync(m, v, d) shim_shuffle(__LINE__, (m), (v), SHIM_LANE ^ (unsigned)(d))
#define __shfl_down_sync(m, v, d) shim_shuffle(__LINE__, (m), (v), SHIM_LANE_OR_SELF((int)SHIM_LANE + (int)(d)))
#define __shfl_up_sync(m, v, d) shim_shuffle(__LINE__, (m), (v), SHIM_LANE_OR_SELF((int)SHIM_LANE - (int)(d)))
// The __reduce_*_sync intrinsics are left out: they need sm_80, and the kernels start at sm_75.

// --- atomics: threads only change at preemption points, so a plain update is one
#define SHIM_ATOMIC(name, result)                                        \
  template <class T, class U>                                            \
  FIBER_FN T name(T* p, U operand) {                                     \
    static_assert(sizeof(T) >= 4, "CUDA has this atomic from 32 bits up"); \
    fiber::preemption_point();                                           \
    FIBER_TOUCH(p, sizeof(T), true);                                     \
    const T old = *p, v = static_cast<T>(operand);                       \
    *p = (result);                                                       \
    fiber::preemption_point();                                           \
    return old;                                                          \
  }
SHIM_ATOMIC(atomicAdd, old + v)
SHIM_ATOMIC(atomicSub, old - v)
SHIM_ATOMIC(atomicMin, v < old ? v : old)
SHIM_ATOMIC(atomicMax, v > old ? v : old)
SHIM_ATOMIC(atomicOr, old | v)
SHIM_ATOMIC(atomicAnd, old & v)
SHIM_ATOMIC(atomicXor, old ^ v)
SHIM_ATOMIC(atomicExch, v)
template <class T>
FIBER_FN T atomicCAS(T* p, T expected, T wanted) {  // 16 bits too, from sm_70
  static_assert(sizeof(T) >= 2);
  fiber::preemption_point();
  FIBER_TOUCH(p, sizeof(T), true);
  const T old = *p;
  if (old == expected) *p = wanted;
  fiber::preemption_point();
  return old;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}
static inline void __threadfence_system() {}

// --- integers
template <class A, class B>
constexpr auto min(A a, B b) { return a < b ? a : b; }
template <class A, class B>
constexpr auto max(A a, B b) { return a > b ? a : b; }
template <class T>
inline T __ldg(const T* p) { return *p; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
static inline unsigned __brev(unsigned x) {
  unsigned r = 0;
  for (int i = 0; i < 32; i++) r |= (x >> i & 1u) << (31 - i);
  return r;
}
static inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned long long>(a) * b >> 32; }
static inline unsigned __funnelshift_r(unsigned lo, unsigned hi, unsigned shift) {
  return static_cast<unsigned>((static_cast<unsigned long long>(hi) << 32 | lo) >> (shift & 31));
}
static inline unsigned __funnelshift_l(unsigned lo, unsigned hi, unsigned shift) {
  return static_cast<unsigned>((static_cast<unsigned long long>(hi) << 32 | lo) << (shift & 31) >> 32);
}
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
  const unsigned long long bytes = static_cast<unsigned long long>(b) << 32 | a;
  unsigned r = 0;
  for (int i = 0; i < 4; i++) r |= static_cast<unsigned>(bytes >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
  return r;
}

// --- floats
static inline unsigned __float_as_uint(float f) { unsigned u; memcpy(&u, &f, 4); return u; }
static inline float __uint_as_float(unsigned u) { float f; memcpy(&f, &u, 4); return f; }
static inline int __float_as_int(float f) { return static_cast<int>(__float_as_uint(f)); }
static inline float __int_as_float(int i) { return __uint_as_float(static_cast<unsigned>(i)); }
static inline int __float2int_rn(float x) { return static_cast<int>(nearbyintf(x)); }
static inline int __float2int_rz(float x) { return static_cast<int>(x); }
static inline int __float2int_rd(float x) { return static_cast<int>(floorf(x)); }
static inline int __float2int_ru(float x) { return static_cast<int>(ceilf(x)); }
static inline unsigned __float2uint_rn(float x) { return static_cast<unsigned>(nearbyintf(x)); }
static inline float __int2float_rn(int x) { return static_cast<float>(x); }
static inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline float __fsqrt_rn(float a) { return sqrtf(a); }
static inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.f) : 0.f; }  // NaN gives 0

// --- entry points: what the Python runner calls
namespace shim {

// One letter and a size for each parameter: p pointer, c pointer to const, v pointer to a vector type, i integer, f float.
template <class P>
void describe(char*& out) {
  using T = std::remove_pointer_t<P>;
  const char kind = !std::is_pointer_v<P>         ? (std::is_floating_point_v<P> ? 'f' : 'i')
                    : std::is_class_v<T>          ? 'v'
                    : std::is_const_v<T>          ? 'c'
                                                  : 'p';
  out += sprintf(out, "%c%zu ", kind, sizeof(T));
}
template <class... P>
const char* signature(void (*)(P...)) {
  static char text[8 * sizeof...(P) + 1];
  char* out = text;
  (describe<P>(out), ...);
  return text;
}

template <class... P, size_t... I>
FIBER_FN void call(void (*kernel)(P...), void** values, std::integer_sequence<size_t, I...>) {
  kernel(*static_cast<std::remove_const_t<P>*>(values[I])...);
}
template <class... P>
struct Call {
  void (*kernel)(P...);
  void** values;
};
template <class... P>
FIBER_FN void call_thread(void* argument) {
  const auto& c = *static_cast<Call<P...>*>(argument);
  call(c.kernel, c.values, std::make_integer_sequence<size_t, sizeof...(P)>{});
}
template <class... P>
bool run(void (*kernel)(P...), const unsigned* sizes, size_t shared_bytes, void** values, fiber::Options options) {
  Call<P...> c{kernel, values};
  return fiber::run_grid({sizes[0], sizes[1], sizes[2]}, {sizes[3], sizes[4], sizes[5]}, shared_bytes, options,
                         call_thread<P...>, &c);
}

}  // namespace shim

#define SHIM_ENTRY(name)                                                                                        \
  extern "C" const char* signature_##name() { return shim::signature(&name); }                                  \
  extern "C" bool run_##name(const unsigned* sizes, size_t shared_bytes, void** values, fiber::Options options) { \
    return shim::run(&name, sizes, shared_bytes, values, options);                                              \
  }
extern "C" const char* fault_message() { return fiber::machine.message; }
