-- For wrk: one request again and again, with fields that must stand on no command line, and the
-- figures as a line of JSON.
--   BENCH_PATH      what to GET
--   BENCH_FIELDS    "Name: value" lines
--   BENCH_PAUSE_MS  between an answer and the next request of a connection, on average; 0: none
local pause = tonumber(os.getenv("BENCH_PAUSE_MS") or "0")

for name, value in string.gmatch(os.getenv("BENCH_FIELDS") or "", "([^:\n]+): ([^\n]+)") do
    wrk.headers[name] = value
end

function init()
    bytes = wrk.format("GET", os.getenv("BENCH_PATH"))
end

function request()
    return bytes
end

-- Spread, so that connections don't fall in step.
if pause > 0 then
    function delay()
        return math.random(0, 2 * pause)
    end
end

function done(summary, latency)
    local faults = summary.errors
    io.write(string.format(
        '{"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"faults":%d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        faults.connect + faults.read + faults.write + faults.status + faults.timeout))
end
