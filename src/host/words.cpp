#include "host/words.hpp"

#include <algorithm>
#include <numeric>

namespace souk::host {
namespace {

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
    const std::string* best = nullptr;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (const std::string& candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d < best_distance) {
            best_distance = d;
            best = &candidate;
        }
    }
    return best == nullptr ? std::string() : "; did you mean '" + *best + "'?";
}

Error all_faults(std::string code, std::string_view title, std::vector<FieldError> faults) {
    std::string detail(title);
    for (const FieldError& fault : faults) {
        detail += "\n  ";
        if (!fault.pointer.empty()) detail += fault.pointer + ": ";
        detail += fault.detail;
    }
    return invalid(std::move(code), std::move(detail)).with_fields(std::move(faults));
}

}  // namespace souk::host
