# 판매 화면: 한 공연의 예매를 지켜보고 줄을 움직입니다.
desk-title = 판매 화면
desk-applied-gate = 적용했습니다. 적으신 값은 아직 적용하지 않고 그대로 두었습니다.
# 숫자
# 줄 움직이기
desk-same-paused = 이미 멈춰 있습니다
desk-same-open = 이미 열려 있습니다
# 다시 묻기
# 미리 보기
# 볼 것
# 기록과 그래프
