#include "cli/commands.hpp"

// jemalloc reads this at the first allocation (its manual, "TUNING"). Arenas: few, since there are few
// threads that allocate much, and each keeps spare pages. Decay: what a crowd needed is given back to
// the system soon after it has left, by a thread of jemalloc's own, not by who happens to free.
extern "C" const char* malloc_conf;
const char* malloc_conf =
    "narenas:2,background_thread:true,max_background_threads:1,dirty_decay_ms:200,muzzy_decay_ms:0";

int main(int argc, char** argv) {
    return souk::cli::run(argc, argv);
}
