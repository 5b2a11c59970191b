// Runs one CUDA grid on one CPU thread. Each CUDA thread is a fiber with a stack of its own; blocks run one after the
// other. A seed shuffles the order of blocks and threads, and `preempt` switches at one in so many atomics, so that a
// result which depends on luck differs between schedules. Divergent barriers, divergent warp collectives and
// deadlocks stop the launch with a message.
#pragma once
#include <cmath>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>

// The runner's own memory accesses are none of the kernel's, so the race checker must not see them. GCC inlines no
// function into one with other instrumentation, hence the explicit noinline.
#define FIBER_FN [[gnu::noinline, maybe_unused]] __attribute__((no_sanitize("thread"))) static

// A kernel's `__shared__` variables are statics, and as nothing else does they lie between these symbols of the linker,
// so that they can be poisoned before each block. (GCC ignores a section attribute in a template, thus this way round.)
extern "C" char __bss_start[] __attribute__((visibility("hidden")));
extern "C" char _end[] __attribute__((visibility("hidden")));
#define FIBER_STATE __attribute__((section("fiber_state"))) static

namespace fiber {

constexpr unsigned kMaxThreads = 1024, kWarp = 32;
constexpr size_t kStackBytes = 64 * 1024;
constexpr int kPoison = 0xCD;

struct Index {
  unsigned x, y, z;
  unsigned count() const { return x * y * z; }
  Index at(unsigned linear) const { return {linear % x, linear / x % y, linear / (x * y)}; }
};

enum class State : uint8_t { ready, at_barrier, at_collective, done };
enum class Collective : uint8_t { sync, ballot, shuffle };

struct Thread {
  void* stack_pointer;
  char* stack;
  State state;
  Index index;
  unsigned linear;
  int line;  // where it waits
  Collective collective;
  uint32_t mask;
  uint64_t value, result;
  unsigned source_lane;
};

struct Options {
  uint32_t seed;     // 0: threads and blocks in order
  uint32_t preempt;  // 0: never; n: at one in n atomics, and in the race checker also at one in n memory accesses
};

struct Machine {
  Thread threads[kMaxThreads];
  uint32_t unfinished[kMaxThreads / kWarp];  // one bit per lane
  Thread* current;
  void* scheduler_stack_pointer;
  Index block_index, block_size, grid_size;
  unsigned thread_count, live, arrived;
  int barrier_line, barrier_votes, barrier_result;
  char* dynamic_shared;
  size_t dynamic_shared_bytes;
  Options options;
  uint32_t random;
  void (*body)(void*);
  void* body_argument;
  unsigned order[kMaxThreads];
  bool failed;
  char message[512];
};
FIBER_STATE Machine machine{};

__attribute__((format(printf, 1, 2))) FIBER_FN void fail(const char* format, ...) {
  if (machine.failed) return;  // the first fault explains the others
  machine.failed = true;
  int used = 0;
  const size_t room = sizeof machine.message;
  if (machine.current) {
    const Index b = machine.block_index, t = machine.current->index;
    used = snprintf(machine.message, room, "block (%u,%u,%u) thread (%u,%u,%u): ", b.x, b.y, b.z, t.x, t.y, t.z);
  }
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(machine.message + used, room - used, format, arguments);
  va_end(arguments);
}

FIBER_FN uint32_t random_u32() {  // xorshift32
  uint32_t& s = machine.random;
  s ^= s << 13, s ^= s >> 17, s ^= s << 5;
  return s;
}

// What the race checker follows.
#ifdef FIBER_RACE_CHECK
static void grid_started();
static void block_started();
static void barrier_passed();
static void warp_synced(unsigned warp);
#else
FIBER_FN void grid_started() {}
FIBER_FN void block_started() {}
FIBER_FN void barrier_passed() {}
FIBER_FN void warp_synced(unsigned) {}
#endif

// --- switching stacks: only what the calling convention makes a function preserve has to be kept
extern "C" void fiber_switch(void** save_stack_pointer, void* load_stack_pointer) __attribute__((visibility("hidden")));
#if defined(__x86_64__)
asm(R"(
.text
.hidden fiber_switch
.globl fiber_switch
.type fiber_switch,@function
fiber_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp,(%rdi)
  mov %rsi,%rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
)");
FIBER_FN void* first_frame(char* stack, void (*entry)()) {
  void** top = reinterpret_cast<void**>(stack + kStackBytes);
  *--top = nullptr;  // the stack is 16-byte aligned before a call
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  return top;
}
#elif defined(__aarch64__)
asm(R"(
.text
.hidden fiber_switch
.globl fiber_switch
.type fiber_switch,@function
fiber_switch:
  sub sp, sp, #160
  stp x19, x20, [sp]
  stp x21, x22, [sp, 16]
  stp x23, x24, [sp, 32]
  stp x25, x26, [sp, 48]
  stp x27, x28, [sp, 64]
  stp x29, x30, [sp, 80]
  stp d8, d9, [sp, 96]
  stp d10, d11, [sp, 112]
  stp d12, d13, [sp, 128]
  stp d14, d15, [sp, 144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp]
  ldp x21, x22, [sp, 16]
  ldp x23, x24, [sp, 32]
  ldp x25, x26, [sp, 48]
  ldp x27, x28, [sp, 64]
  ldp x29, x30, [sp, 80]
  ldp d8, d9, [sp, 96]
  ldp d10, d11, [sp, 112]
  ldp d12, d13, [sp, 128]
  ldp d14, d15, [sp, 144]
  add sp, sp, #160
  ret
)");
FIBER_FN void* first_frame(char* stack, void (*entry)()) {
  char* frame = stack + kStackBytes - 160;
  memset(frame, 0, 160);
  reinterpret_cast<void**>(frame)[11] = reinterpret_cast<void*>(entry);
  return frame;
}
#else
#error "the fiber runner knows x86-64 and aarch64"
#endif

FIBER_FN void yield_to_scheduler() { fiber_switch(&machine.current->stack_pointer, machine.scheduler_stack_pointer); }

FIBER_FN void preemption_point() {
  if (machine.options.preempt && random_u32() % machine.options.preempt == 0) yield_to_scheduler();
}

FIBER_FN void release_barrier() {
  barrier_passed();
  for (unsigned i = 0; i < machine.thread_count; i++)
    if (machine.threads[i].state == State::at_barrier) machine.threads[i].state = State::ready;
  machine.barrier_result = machine.barrier_votes;
  machine.arrived = 0, machine.barrier_votes = 0;
}

// Waits for all threads that have not returned; gives how many of them voted.
FIBER_FN int barrier(int line, bool vote) {
  Thread& me = *machine.current;
  if (machine.arrived && machine.barrier_line != line)
    fail("divergent __syncthreads: line %d while others wait at line %d", line, machine.barrier_line);
  machine.barrier_line = me.line = line;
  machine.barrier_votes += vote;
  me.state = State::at_barrier;
  if (++machine.arrived == machine.live) release_barrier();
  yield_to_scheduler();
  return machine.barrier_result;
}

FIBER_FN void complete_collective(const Thread& me, Thread* lanes) {
  uint32_t ballot = 0;
  for (uint32_t left = me.mask; left; left &= left - 1) {
    const Thread& lane = lanes[__builtin_ctz(left)];
    if (lane.collective != me.collective || lane.mask != me.mask || lane.line != me.line)
      fail("divergent warp collective: line %d with mask %08x against line %d with mask %08x", me.line, me.mask,
           lane.line, lane.mask);
    if (lane.value) ballot |= 1u << (lane.linear % kWarp);
  }
  const bool shuffle = me.collective == Collective::shuffle;
  for (uint32_t left = me.mask; left; left &= left - 1) {
    Thread& lane = lanes[__builtin_ctz(left)];
    if (shuffle && !(me.mask >> lane.source_lane & 1)) fail("shuffle from lane %u outside the mask", lane.source_lane);
    lane.result = shuffle ? lanes[lane.source_lane].value : ballot;
    lane.state = State::ready;
  }
}

FIBER_FN uint64_t collective(Collective kind, uint32_t mask, uint64_t value, unsigned source_lane, int line) {
  Thread& me = *machine.current;
  const unsigned warp = me.linear / kWarp;
  Thread* lanes = &machine.threads[warp * kWarp];
  if (!(mask >> (me.linear % kWarp) & 1)) fail("line %d: the lane is not in its own mask %08x", line, mask);
  if (mask & ~machine.unfinished[warp]) fail("line %d: mask %08x names a lane that is not there", line, mask);
  if (machine.failed) {
    yield_to_scheduler();  // the scheduler stops here
    return 0;
  }
  me.state = State::at_collective;
  me.collective = kind, me.mask = mask, me.value = value, me.source_lane = source_lane, me.line = line;
  bool complete = true;
  for (uint32_t left = mask; left; left &= left - 1)
    complete &= lanes[__builtin_ctz(left)].state == State::at_collective;
  if (complete) {
    complete_collective(me, lanes);
    if (kind == Collective::sync) warp_synced(warp);
    if (!machine.options.seed) return me.result;
  }
  yield_to_scheduler();
  return me.result;
}

FIBER_FN void thread_main() {
  machine.body(machine.body_argument);
  Thread& me = *machine.current;
  me.state = State::done;
  machine.unfinished[me.linear / kWarp] &= ~(1u << (me.linear % kWarp));
  if (--machine.live && machine.arrived == machine.live) release_barrier();
  yield_to_scheduler();
  __builtin_trap();
}

FIBER_FN void shuffle(unsigned* order, unsigned count) {
  if (!machine.options.seed) return;
  for (unsigned i = count; i > 1; i--) {
    const unsigned k = random_u32() % i, last = order[i - 1];
    order[i - 1] = order[k], order[k] = last;
  }
}

FIBER_FN void report_deadlock() {
  unsigned waiting[4] = {};
  int line[4] = {};
  for (unsigned i = 0; i < machine.thread_count; i++) {
    const int state = static_cast<int>(machine.threads[i].state);
    waiting[state]++, line[state] = machine.threads[i].line;
  }
  fail("deadlock: %u threads at __syncthreads (line %d), %u at a warp collective (line %d), %u returned", waiting[1],
       line[1], waiting[2], line[2], waiting[3]);
}

FIBER_FN void start_threads() {
  machine.thread_count = machine.live = machine.block_size.count();
  machine.arrived = 0, machine.barrier_votes = 0;
  memset(machine.unfinished, 0, sizeof machine.unfinished);
  for (unsigned i = 0; i < machine.thread_count; i++) {
    Thread& thread = machine.threads[i];
    if (!thread.stack) thread.stack = static_cast<char*>(aligned_alloc(64, kStackBytes));
    thread.state = State::ready;
    thread.linear = i, thread.index = machine.block_size.at(i);
    thread.stack_pointer = first_frame(thread.stack, thread_main);
    machine.unfinished[i / kWarp] |= 1u << (i % kWarp);
  }
}

// Not memset, which AddressSanitizer would stop between two variables.
__attribute__((no_sanitize("address"))) FIBER_FN void poison_shared_memory() {
  for (volatile char* p = __bss_start; p < _end; p++) *p = static_cast<char>(kPoison);
  memset(machine.dynamic_shared, kPoison, machine.dynamic_shared_bytes);
}

FIBER_FN void run_block() {
  unsigned* order = machine.order;
  poison_shared_memory();
  start_threads();
  block_started();
  for (unsigned i = 0; i < machine.thread_count; i++) order[i] = i;
  while (machine.live && !machine.failed) {
    bool progress = false;
    shuffle(order, machine.thread_count);
    for (unsigned i = 0; i < machine.thread_count && !machine.failed; i++) {
      Thread& thread = machine.threads[order[i]];
      if (thread.state != State::ready) continue;
      progress = true;
      machine.current = &thread;
      fiber_switch(&machine.scheduler_stack_pointer, thread.stack_pointer);
      machine.current = nullptr;
    }
    if (!progress) report_deadlock();
  }
}

// Runs `body` once per thread of the grid. Returns whether it went well; `machine.message` says why not.
FIBER_FN bool run_grid(Index grid, Index block, size_t dynamic_shared_bytes, Options options, void (*body)(void*),
                       void* argument) {
  machine.failed = false, machine.message[0] = 0, machine.current = nullptr;
  machine.grid_size = grid, machine.block_size = block, machine.options = options;
  machine.body = body, machine.body_argument = argument;
  machine.random = options.seed * 2654435761u + 1;
  machine.dynamic_shared_bytes = dynamic_shared_bytes;
  // Of the exact size, so that AddressSanitizer sees the first byte beyond it.
  machine.dynamic_shared = static_cast<char*>(malloc(dynamic_shared_bytes));
  grid_started();
  const unsigned blocks = grid.count();
  unsigned* order = static_cast<unsigned*>(malloc(blocks * sizeof(unsigned)));
  for (unsigned i = 0; i < blocks; i++) order[i] = i;
  shuffle(order, blocks);
  for (unsigned i = 0; i < blocks && !machine.failed; i++) {
    machine.block_index = grid.at(order[i]);
    run_block();
  }
  free(order);
  free(machine.dynamic_shared);
  machine.dynamic_shared = nullptr;
  return !machine.failed;
}

}  // namespace fiber
