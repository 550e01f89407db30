#include "souk/database.hpp"

#include <algorithm>
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

void Rows::append(const Rows& more) {
    columns_ = std::max(columns_, more.columns_);
    affected_ += more.affected_;
    const auto offset = static_cast<std::int64_t>(text_.size());
    cells_.reserve(cells_.size() + more.cells_.size());
    for (Cell cell : more.cells_) {
        if (cell.kind == Kind::text) cell.value += offset;
        cells_.push_back(cell);
    }
    text_ += more.text_;
}

Task<Result<Rows>> Transaction::execute_set(const Statement& statement, std::vector<Params> rows) {
    auto parts = co_await execute_all(statement, std::move(rows));
    if (!parts) co_return parts.error();
    Rows all;
    for (const Rows& part : *parts)
        all.append(part);
    co_return all;
}

Task<Result<void>> Transaction::execute_later(const Statement& statement, Params row) {
    auto rows = co_await execute(statement, std::move(row));
    if (!rows) co_return rows.error();
    co_return Result<void>();
}

std::string array_text(std::span<const Value> values) {
    std::string text = "{";
    for (const Value& value : values) {
        if (text.size() > 1) text += ',';
        if (const auto* integer = std::get_if<std::int64_t>(&value)) {
            text += std::to_string(*integer);
        } else if (const auto* words = std::get_if<std::string>(&value)) {
            text += '"';
            for (const char c : *words) {
                if (c == '"' || c == '\\') text += '\\';
                text += c;
            }
            text += '"';
        } else {
            text += "NULL";
        }
    }
    return text + '}';
}

}  // namespace souk
