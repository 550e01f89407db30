// The blocking client and the loops of the HTTP listener's own tests.
#include "unit/http/support.cpp"
