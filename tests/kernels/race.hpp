// Finds data races and stray accesses. g++'s -fsanitize=thread puts a call before every load and store; these are the
// callbacks, in place of the sanitizer's library. Each byte of the arrays and of shared memory remembers its last
// write and its last reads. Two accesses race if one writes, not both are atomic (volatile counts as atomic), and
// nothing orders them: not the same thread, no barrier between them in one block, no __syncwarp between them in one warp
// (votes and shuffles order no memory).
#pragma once
#include "fibers.hpp"

#define FIBER_TOUCH(pointer, bytes, write) race::touch((pointer), (bytes), (write), true)

namespace race {

struct Access {
  uint32_t block, barriers, syncs;
  uint16_t thread;
  bool atomic, used;
};
struct Cell {
  Access write, read, other_read;  // the reads are of two different threads
};
struct Region {
  const char* begin;
  size_t bytes;
  Cell* cells;
  bool shared;
};

constexpr unsigned kMaxRegions = 64;
FIBER_STATE Region regions[kMaxRegions]{};
FIBER_STATE unsigned region_count = 0;
FIBER_STATE uint32_t barriers = 0, syncs[fiber::kMaxThreads / fiber::kWarp]{};

FIBER_FN Region* find_region(const char* p) {
  for (unsigned i = 0; i < region_count; i++)
    if (static_cast<size_t>(p - regions[i].begin) < regions[i].bytes) return &regions[i];
  return nullptr;
}

FIBER_FN bool races(const Access& before, const Access& now) {
  if (!before.used || (before.atomic && now.atomic)) return false;
  if (before.block != now.block) return true;
  if (before.thread == now.thread || before.barriers != now.barriers) return false;
  const bool same_warp = before.thread / fiber::kWarp == now.thread / fiber::kWarp;
  return !(same_warp && before.syncs != now.syncs);
}

FIBER_FN void report(const Region& region, size_t offset, const Access& before, bool write) {
  fiber::fail("race: %s byte %zu of %s, touched by thread %u of block %u", write ? "writes" : "reads", offset,
              region.shared ? "shared memory" : "an array", before.thread, before.block);
}

FIBER_FN void record(Region& region, size_t offset, const Access& now, bool write) {
  Cell& cell = region.cells[offset];
  if (races(cell.write, now)) return report(region, offset, cell.write, write);
  if (!write) {
    if (cell.read.used && (cell.read.thread != now.thread || cell.read.block != now.block)) cell.other_read = cell.read;
    cell.read = now;
    return;
  }
  if (races(cell.read, now)) return report(region, offset, cell.read, write);
  if (races(cell.other_read, now)) return report(region, offset, cell.other_read, write);
  cell.write = now;
}

FIBER_FN bool own(const char* p) {
  const auto inside = [p](const void* begin, size_t bytes) __attribute__((no_sanitize("thread"))) {
    return static_cast<size_t>(p - static_cast<const char*>(begin)) < bytes;
  };
  return inside(fiber::machine.current->stack, fiber::kStackBytes) || inside(&fiber::machine, sizeof fiber::machine);
}

FIBER_FN void touch(const volatile void* pointer, size_t bytes, bool write, bool atomic) {
  const char* p = const_cast<const char*>(static_cast<const volatile char*>(pointer));
  if (!fiber::machine.current || fiber::machine.failed || own(p)) return;
  Region* region = find_region(p);
  if (!region || p + bytes > region->begin + region->bytes) {
    fiber::fail("%s of %zu bytes outside of every array", write ? "write" : "read", bytes);
    return fiber::yield_to_scheduler();
  }
  const fiber::Thread& me = *fiber::machine.current;
  const fiber::Index b = fiber::machine.block_index, grid = fiber::machine.grid_size;
  const Access now{(b.z * grid.y + b.y) * grid.x + b.x, barriers,  syncs[me.linear / fiber::kWarp],
                   static_cast<uint16_t>(me.linear),    atomic, true};
  for (size_t i = 0; i < bytes; i++) record(*region, p - region->begin + i, now, write);
  if (fiber::machine.failed) fiber::yield_to_scheduler();  // which stops here; going on might never end
  fiber::preemption_point();
}

FIBER_FN void add_region(const void* begin, size_t bytes, bool shared) {
  if (!bytes) return;
  if (region_count == kMaxRegions) abort();
  regions[region_count++] = {static_cast<const char*>(begin), bytes,
                             static_cast<Cell*>(calloc(bytes, sizeof(Cell))), shared};
}

FIBER_FN void forget() {
  for (unsigned i = 0; i < region_count; i++) free(regions[i].cells);
  region_count = 0;
}

}  // namespace race

namespace fiber {
FIBER_FN void grid_started() {
  race::add_region(__bss_start, _end - __bss_start, true);
  race::add_region(machine.dynamic_shared, machine.dynamic_shared_bytes, true);
}
FIBER_FN void block_started() {  // shared memory of one block is not that of the next
  for (unsigned i = 0; i < race::region_count; i++)
    if (race::regions[i].shared) memset(race::regions[i].cells, 0, race::regions[i].bytes * sizeof(race::Cell));
}
FIBER_FN void barrier_passed() { race::barriers++; }
FIBER_FN void warp_synced(unsigned warp) { race::syncs[warp]++; }
}  // namespace fiber

extern "C" {
// Called by the Python runner before a launch: which arrays the kernel may touch.
__attribute__((no_sanitize("thread"))) void race_forget() { race::forget(); }
__attribute__((no_sanitize("thread"))) void race_array(const void* begin, size_t bytes) {
  race::add_region(begin, bytes, false);
}

// GCC's calls.

#define RACE_CALLBACKS(N)                                                                            \
  FIBER_HOOK void __tsan_read##N(void* p) { race::touch(p, N, false, false); }                       \
  FIBER_HOOK void __tsan_write##N(void* p) { race::touch(p, N, true, false); }                       \
  FIBER_HOOK void __tsan_unaligned_read##N(void* p) { race::touch(p, N, false, false); }             \
  FIBER_HOOK void __tsan_unaligned_write##N(void* p) { race::touch(p, N, true, false); }             \
  FIBER_HOOK void __tsan_volatile_read##N(void* p) { race::touch(p, N, false, true); }               \
  FIBER_HOOK void __tsan_volatile_write##N(void* p) { race::touch(p, N, true, true); }               \
  FIBER_HOOK void __tsan_unaligned_volatile_read##N(void* p) { race::touch(p, N, false, true); }     \
  FIBER_HOOK void __tsan_unaligned_volatile_write##N(void* p) { race::touch(p, N, true, true); }
#define FIBER_HOOK __attribute__((no_sanitize("thread"), visibility("hidden")))
RACE_CALLBACKS(1)
RACE_CALLBACKS(2)
RACE_CALLBACKS(4)
RACE_CALLBACKS(8)
RACE_CALLBACKS(16)
FIBER_HOOK void __tsan_init() {}
FIBER_HOOK void __tsan_func_entry(void*) {}
FIBER_HOOK void __tsan_func_exit() {}
FIBER_HOOK void __tsan_read_range(void* p, unsigned long bytes) { race::touch(p, bytes, false, false); }
FIBER_HOOK void __tsan_write_range(void* p, unsigned long bytes) { race::touch(p, bytes, true, false); }
}
