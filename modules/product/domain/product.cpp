#include "domain/product.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace souk::product::domain {

Result<Quantities> sum_quantities(const std::vector<ReserveLine>& lines) {
    Quantities sums;
    for (const ReserveLine& line : lines) {
        if (line.quantity <= 0 || line.quantity > max_stock)
            return invalid("bad_quantity", "a quantity is at least 1");
        sums[line.product_id] += line.quantity;
    }
    return sums;
}

std::vector<FieldError> faults_of_lines(
    const std::vector<ReserveLine>& lines,
    const std::vector<std::string>& products,
    std::string_view code,
    std::string_view detail
) {
    std::vector<FieldError> faults;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const std::string& id = lines[i].product_id;
        if (std::find(products.begin(), products.end(), id) == products.end()) continue;
        faults.emplace_back(fmt::format("/items/{}", i), std::string(code), std::string(detail));
    }
    return faults;
}

}  // namespace souk::product::domain
