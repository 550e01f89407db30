#include "souk/database.hpp"

#include <stdexcept>

namespace souk {

const Rows::Cell& Rows::cell(std::size_t row, std::size_t column) const {
    if (column >= columns_ || row >= size())
        throw std::logic_error("a store reads beyond the rows of its statement");
    return cells_[row * columns_ + column];
}

bool Rows::Row::is_null(std::size_t column) const {
    return rows_->cell(index_, column).kind == Kind::null;
}

std::int64_t Rows::Row::integer(std::size_t column) const {
    const Cell& cell = rows_->cell(index_, column);
    if (cell.kind == Kind::text) throw std::logic_error("a store reads text as an integer");
    return cell.value;
}

std::string_view Rows::Row::text(std::size_t column) const {
    const Cell& cell = rows_->cell(index_, column);
    if (cell.kind == Kind::integer) throw std::logic_error("a store reads an integer as text");
    if (cell.kind == Kind::null) return {};
    return std::string_view(rows_->text_).substr(static_cast<std::size_t>(cell.value), cell.size);
}

}  // namespace souk
