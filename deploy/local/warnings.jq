# What `tail -F` says of several logs (their lines, and "==> FILE <==" before those of another file):
# warnings and worse, with the process' name before them, for people.
def name: capture("(?<name>[^/]+)\\.log <==$").name;
def fields: del(.time, .level, .component, .message)
    | to_entries | map(" \(.key)=\(.value | if type == "string" then . else tojson end)") | join("");
def shown: if .level == "warn" or .level == "error"
    then "\(if .level == "error" then $red else "" end)\(.level)\($plain) \(.component): \(.message)\(fields)"
    else empty end;

foreach inputs as $line ({};
    if ($line | startswith("==> ")) then {name: ($line | name)}
    else {name: .name, line: ($line | fromjson? | objects)} end;
    select(.line) | .name as $name | .line | "\($name): \(shown)")
