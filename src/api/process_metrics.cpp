#include "api/context.h"
#include "base/os.h"

namespace dunlin {

void add_process_metrics(ApiContext& api) {
    Metrics& metrics = api.metrics;
    const auto start_s = static_cast<double>(api.clock.unix_s());
    metrics.gauge("process_start_time_seconds", "When the process began, in Unix time.", {},
                  [start_s] { return start_s; });
    metrics.counter_elsewhere("process_cpu_seconds_total",
                              "Processor time in user and kernel mode.", {},
                              [] { return process_use().processor_s; });
    metrics.gauge("process_resident_memory_bytes", "Memory that is resident.", {},
                  [] { return static_cast<double>(process_use().resident_bytes); });
    metrics.gauge("process_open_fds", "Files and sockets that are open.", {},
                  [] { return static_cast<double>(process_use().open_files); });
    metrics.gauge("dunlin_ready", "Whether /readiness says 200.", {},
                  [&api] { return is_ready(api) ? 1.0 : 0.0; });
}

}  // namespace dunlin
