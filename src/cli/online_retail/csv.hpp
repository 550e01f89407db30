// A streaming reader of comma-separated values (RFC 4180) from a plain or gzipped file, that can
// say where it is: real exports are malformed somewhere, and "row 20,113" is what mends them.
#pragma once

#include "souk/error.hpp"

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace souk::cli {

class CsvReader {
public:
    /// Errors: `invalid` "cannot_read" with the path and the reason.
    static Result<CsvReader> open(const std::filesystem::path& file);
    ~CsvReader();
    CsvReader(CsvReader&&) noexcept;
    CsvReader& operator=(CsvReader&&) noexcept;

    /// Reads one record into `fields` (reused between calls). False at the end of the file. Errors:
    /// `invalid` "malformed_csv" (an unclosed quote, text after a closing quote, a broken gzip
    /// stream) with row and column.
    Result<bool> next(std::vector<std::string>& fields);
    /// The record last read; the header is row 1.
    std::size_t row() const;

private:
    struct State;
    explicit CsvReader(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace souk::cli
