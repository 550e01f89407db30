#include "domain/ledger.hpp"

namespace souk::payment::domain {

PostingSet capture_postings(std::int64_t amount) {
    return {Posting("provider_receivable", amount), Posting("sales", -amount)};
}

PostingSet refund_postings(std::int64_t amount) {
    return {Posting("refunds", amount), Posting("provider_receivable", -amount)};
}

bool sums_to_zero(const PostingSet& postings) {
    return postings[0].amount + postings[1].amount == 0;
}

}  // namespace souk::payment::domain
