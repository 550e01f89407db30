# Lines of measurements to medians, and these as ratios to the whole shop.
def median: sort | if length % 2 == 1 then .[length / 2 | floor]
    else (.[length / 2 - 1] + .[length / 2]) / 2 end;
def medians: {
    requests_per_second: (map(.requests / .seconds) | median),
    p50_us: (map(.p50_us) | median),
    p99_us: (map(.p99_us) | median),
    cpu_us: (. as $all | .[0].cpu_us | keys
        | map(. as $role | {key: $role, value: ($all | map(.cpu_us[$role]) | median)}) | from_entries)
} | .cpu_us_all = ([.cpu_us[]] | add);
def ratios($base): {
    requests_per_second: (.requests_per_second / $base.requests_per_second),
    p50: (.p50_us / $base.p50_us),
    p99: (.p99_us / $base.p99_us),
    cpu: (.cpu_us_all / $base.cpu_us_all)
};

group_by([.request, .load])
| map(
    (group_by(.way) | map({key: .[0].way, value: medians}) | from_entries) as $ways
    | {request: .[0].request, load: .[0].load,
       ways: ($ways | map_values(. + {of_whole: ratios($ways.whole)}))})
| {souk: $version, cores: $cores, seconds: $seconds, rounds: $rounds, measurements: .}
